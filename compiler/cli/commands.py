"""The name of a command in, its exit status out; nothing of a command is imported before it is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType

from calico_rkt.compiler.cli.parser import Parser
from calico_rkt.compiler.cli.process import answered, guarded

REVIEW = {
    "check": "errors, rules that decide nothing, tests that fail, in a folder of confs and overrides",
    "test": "run the tests and guardrails of a workspace, exactly",
    "diff": "what a change newly allows and newly denies",
    "explain": "the fate of a packet, with the rules and lines that decide it",
    "matrix": "who reaches whom, and on what",
    "report": "one page to read and click through: matrix, rules, findings, tests, changes",
    "rule": "what a diagnostic's code means, and the way out",
    "schema": "the JSON Schema of overrides, of confs, or of answers, for editors and programs",
}
"""The commands that look at policy; each is a module of its name here."""


def review(name: str, argv: Sequence[str]) -> int:
    """One command of REVIEW; argv is what follows its name."""
    module = f"{__package__}.{name}"
    return guarded(f"calico-rkt {name}", lambda: run_command(module, name, REVIEW[name], argv))


def run_command(
    module: str,
    name: str,
    words: str,
    argv: Sequence[str],
    answer: Callable[[str, Callable[[], int]], int] = answered,
) -> int:
    """Run the command that a module is: its EPILOG, add_arguments(parser) and run(args); the exit status.

    words: what it does, in one line; answer: runs what is given it, and says what went wrong in the form of its first
    argument, the --format that was asked for.
    """
    command = import_module(module)
    args = parser_of(command, name, words).parse_args(argv)
    return answer(getattr(args, "format", "text"), lambda: int(command.run(args)))


def parser_of(command: ModuleType, name: str, words: str) -> argparse.ArgumentParser:
    """The command line of the command that a module is."""
    description = f"{words[0].upper()}{words[1:].rstrip(' .')}."
    parser = Parser(prog=f"calico-rkt {name}", description=description, epilog=command.EPILOG)
    command.add_arguments(parser)
    return parser
