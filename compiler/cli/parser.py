"""A command line in, its options out: none that has an empty value, none that is said twice with two values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's, for every command. What is wrong is said on stderr, with exit status 2.

    An empty text is mostly a variable that a script did not set: `install --root "$IMAGE"` meant the host then. Of two
    values the second won, and nobody was told of the first.
    """

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, epilog=epilog, formatter_class=raw, allow_abbrev=False)
        self.register("action", None, _Once)

    def error(self, message: str) -> NoReturn:
        from calico_rkt.compiler.diagnostics import printable

        super().error(printable(message))


class _Once(argparse.Action):
    """argparse's own store, but for an option that is given nothing, or has another value already."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if option_string and values == "":
            parser.error(f"{option_string} is given nothing; leave it out where that is meant")
        before = getattr(namespace, self.dest, None)
        if option_string and before is not self.default and before != values:
            parser.error(f"{option_string} is given twice, as {before} and as {values}; it takes one")
        setattr(namespace, self.dest, values)
