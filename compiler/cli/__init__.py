"""Command lines in, exit statuses out: compile-profile, and the commands that review a workspace.

The doors are compile_profile here and commands.py; each command is a file of its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from calico_rkt.compiler.cli.process import guarded

__all__ = ["compile_profile"]


def compile_profile(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status. argv without the program's name, sys.argv where None."""
    return guarded("compile-profile", lambda: _compile(argv))


def _compile(argv: Sequence[str] | None) -> int:
    from calico_rkt.compiler.cli.compile import run

    return run(argv)
