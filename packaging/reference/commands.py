"""The commands' argument parsers in, their page out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from calico_rkt.compiler.cli.help_text import examples, exit_statuses
from calico_rkt.plugin.commands.tree import COMMANDS, GROUPS, parser_for
from reference.markdown import code, table

_HEAD = """# Commands

`calico-rkt COMMAND --help` says the same. Every command says on stderr what is wrong, and prints JSON with
`--format json` where it has that option.

## Exit statuses

Besides these, every command ends with 130 after Ctrl-C, with 141 where whoever reads its output has gone, and with 2
(`netavark`: 1) where its output can't be written, whatever it says.

"""


def page() -> str:
    """One page for all commands."""
    text = _HEAD + _statuses()
    for title, commands in GROUPS.items():
        text += f"# {title[0].upper()}{title[1:]}\n\n" + "".join(map(_command, commands))
    return text


def _said(name: str) -> Mapping[int, str]:
    return exit_statuses(parser_for(name).epilog or "")


def _statuses() -> str:
    numbers = sorted({number for name in COMMANDS for number in _said(name)})
    rows = [(code(name), *(_said(name).get(number, "") for number in numbers)) for name in COMMANDS]
    return table(("command", *map(str, numbers)), rows)


def _command(name: str) -> str:
    parser = parser_for(name)
    program = "compile-profile" if name == "compile" else f"calico-rkt {name}"
    usage = " ".join((program, *_positionals(parser), "[OPTION ...]"))
    text = f"## {name}\n\n    {usage}\n\n{parser.description}\n\n"
    rows = [(code(_invocation(a)), _help(parser, a)) for a in parser._actions if _is_shown(a)]  # noqa: SLF001
    text += table(("argument", "what it says"), rows) if rows else ""
    lines = "".join(f"    {line}\n" for line in examples(parser.epilog or ""))
    return f"{text}Examples:\n\n{lines}\n"


def _is_shown(action: argparse.Action) -> bool:
    return action.help is not argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)  # noqa: SLF001


def _positionals(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no door to them
        if not action.option_strings and _is_shown(action):
            name = _metavar(action)
            yield {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper()))


def _invocation(action: argparse.Action) -> str:
    if not action.option_strings:
        return _metavar(action)
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(f"{option}{value}" for option in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    said = parser._get_formatter()._expand_help(action) if action.help else ""  # noqa: SLF001
    return f"{said} (needed)" if action.option_strings and action.required else said
