"""The name of a review command in, its exit status out; nothing of a command is imported before it is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from calico_rkt.compiler.cli.process import answered, guarded

REVIEW = {
    "check": "errors, rules that decide nothing, tests that fail, in a folder of confs and overrides",
    "test": "run the tests and guardrails of a workspace, exactly",
    "diff": "what a change newly allows and newly denies",
    "explain": "the fate of a packet, with the rules and lines that decide it",
    "matrix": "who reaches whom, and on what",
    "report": "one page to read and click through: matrix, rules, findings, tests, changes",
    "schema": "the JSON Schema of overrides, definitions, settings and guardrails, for editors",
}
"""Each command is a module of its name here, with add_arguments(parser) and run(args)."""


def run(name: str, argv: Sequence[str]) -> int:
    """One command of REVIEW; argv is what follows its name."""
    return guarded(f"calico-rkt {name}", lambda: _run(name, argv))


def _run(name: str, argv: Sequence[str]) -> int:
    module = import_module(f"calico_rkt.compiler.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"calico-rkt {name}",
        description=f"{REVIEW[name][0].upper()}{REVIEW[name][1:]}.",
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv)
    return answered(args.format, lambda: int(module.run(args)))
