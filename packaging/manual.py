"""The commands' argparse tree and pages of docs/ in, manual pages and shells' completion out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import shtab
from commands import compile_profile, subparsers, tree
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reference.files import KEPT_HERE, READ

import calico_rkt

ROOT = Path(__file__).resolve().parent.parent
_SEE = "calico\\-rkt(1), compile\\-profile(1), calico\\-rkt\\-agent(8), calico\\-rkt\\-overrides(5)"
_NOTHING, _BULLET, _DASH = "\\&", "\\(bu", " \\(em "
_FONTS = {"strong_open": "\\fB", "strong_close": "\\fR", "em_open": "\\fI", "em_close": "\\fR"}


def pages() -> Iterator[tuple[str, bytes]]:
    """(name, text) of each, for the share/ of dist/calico."""
    commands, compiler = tree(), compile_profile()
    yield "calico-rkt.1", _command_page(commands, "policy of containers' networks: review, publish, look, install")
    yield "compile-profile.1", _command_page(compiler, "compile a CNI network conf into one Calico profile")
    yield "calico-rkt-agent.8", _document("calico-rkt-agent", 8, "CNI calls from a warm process", "docs/agent.md")
    yield "calico-rkt-overrides.5", _document("calico-rkt-overrides", 5, "what a network allows", "docs/overrides.md")
    for shell in ("bash", "zsh"):
        for parser in (commands, compiler):
            yield f"{parser.prog}.{shell}", shtab.complete(parser, shell=shell).encode()


def _head(name: str, section: int, words: str) -> str:
    title = f'.TH {name.upper()} {section} "" "calico-rkt {calico_rkt.__version__}"'
    return f"{title}\n.SH NAME\n{_plain(name)} \\- {_plain(words)}\n"


def _plain(text: str) -> str:
    """Text as roff prints it, unchanged."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def _literal(text: str) -> str:
    return f".PP\n.nf\n.RS 4\n{_plain(text.rstrip())}\n.RE\n.fi\n"


def _command_page(parser: argparse.ArgumentParser, words: str) -> bytes:
    text = _head(parser.prog, 1, words)
    known = subparsers(parser)
    if known:
        text += f".SH SYNOPSIS\n.B {_plain(parser.prog)}\n.I COMMAND\n[ARGUMENT ...]\n"
        text += f".SH DESCRIPTION\n{_plain(parser.description or '')}\n.SH COMMANDS\n"
        for name, command in known.items():
            text += f".SS {_plain(name)}\n{_plain(command.description or '')}\n{_arguments(command)}"
    else:
        text += f".SH SYNOPSIS\n{_arguments(parser)}.SH DESCRIPTION\n{_plain(parser.description or '')}\n"
    text += ".SH FILES\n" + "".join(
        f".TP\n.I {_plain(path)}\n{_plain(what.replace('`', ''))}\n" for path, what in (*READ, *KEPT_HERE)
    )
    return (text + f".SH SEE ALSO\n{_SEE}\n").encode()


def _arguments(parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().removeprefix("usage: ")
    text = _literal(usage)
    for action in parser._actions:  # noqa: SLF001 - argparse has no door to them
        if action.help in (None, argparse.SUPPRESS):
            continue
        formatter = parser._get_formatter()  # noqa: SLF001
        head = formatter._format_action_invocation(action)  # noqa: SLF001
        text += f".TP\n.B {_plain(head)}\n{_plain(formatter._expand_help(action))}\n"  # noqa: SLF001
    return text + (_literal(parser.epilog) if parser.epilog else "")


def _document(name: str, section: int, words: str, source: str) -> bytes:
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / source).read_text(encoding="utf-8"))
    text = _head(name, section, words)
    cells: list[str] = []
    in_table = False
    heading = ""
    for token in tokens:
        if token.type == "heading_open":
            heading = {"h1": "DESCRIPTION", "h2": ".SH"}.get(token.tag, ".SS")
        elif token.type == "inline" and heading:
            text += ".SH DESCRIPTION\n" if heading == "DESCRIPTION" else f"{heading} {_inline(token)}\n"
            heading = ""
        elif token.type == "tr_open":
            cells, in_table = [], True
        elif token.type == "tr_close":
            rest = _DASH.join(c for c in cells[1:] if c)
            text += f".TP\n{cells[0] or _NOTHING}\n{rest or _NOTHING}\n"
            in_table = False
        elif token.type == "inline" and in_table:
            cells.append(_inline(token))
        elif token.type == "inline":
            text += f"{_inline(token)}\n"
        elif token.type == "paragraph_open" and not token.hidden and not in_table:
            text += ".PP\n"
        elif token.type == "list_item_open":
            text += f".IP {token.info + '.' if token.info else _BULLET} 3\n"
        elif token.type in ("fence", "code_block"):
            text += _literal(token.content)
    return (text + f".SH SEE ALSO\n{_SEE}\n").encode()


def _inline(token: Token) -> str:
    text = ""
    for part in token.children or ():
        if part.type == "code_inline":
            text += f"\\fB{_plain(part.content)}\\fR"
        elif part.type in ("softbreak", "hardbreak"):
            text += " "
        else:
            text += _FONTS.get(part.type, "") or _plain(part.content)
    return re.sub(r"^([.'])", r"\\&\1", text)
