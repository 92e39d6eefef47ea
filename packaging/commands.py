"""Nothing in, every command with its arguments as one argparse tree out: for completion and manual pages."""

from __future__ import annotations

import argparse
from importlib import import_module

import shtab

from calico_rkt.compiler.cli import compile as compiling
from calico_rkt.plugin.commands.tree import COMMANDS

_FILES = {"FILE": shtab.FILE, "net.conf": shtab.FILE, "DIR": shtab.DIRECTORY, "NETNS": shtab.FILE}
"""What an argument is called that names a file or a folder."""


def tree() -> argparse.ArgumentParser:
    """calico-rkt with its commands as subparsers, each with its description and epilog."""
    top = argparse.ArgumentParser(
        prog="calico-rkt",
        description="Network policy of containers on this host: compiled, reviewed, published, looked at.",
    )
    top.add_argument("--version", action="version", version="", help="print the version and end")
    commands = top.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        if name == "compile":
            add = commands.add_parser(name, help=command.words, parents=[compile_profile()], add_help=False)
            add.epilog = compile_profile().epilog
        else:
            module = import_module(command.module)
            add = commands.add_parser(name, help=command.words, epilog=module.EPILOG)
            module.add_arguments(add)
        add.description = f"{command.words[0].upper()}{command.words[1:]}."
        _name_files(add)
    return top


def compile_profile() -> argparse.ArgumentParser:
    """The other program."""
    parser = compiling.parser()
    _name_files(parser)
    return parser


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """A parser's commands by name."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no door to them, and shtab reads them so, too
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _name_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:  # noqa: SLF001 - as above
        if action.metavar in _FILES:
            action.complete = _FILES[action.metavar]  # type: ignore[attr-defined]  # how shtab is told
