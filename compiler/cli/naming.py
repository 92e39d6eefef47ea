"""How a command line names what is looked at: -C, --profiles and --revision, the same on every command."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from calico_rkt.compiler.cli.process import folder
from calico_rkt.compiler.diagnostics import printable

_HERE = "the current folder if it has confs, else this host"


def add_confs(parser: argparse.ArgumentParser, usual: str, *, dest: str, action: str | type[argparse.Action]) -> None:
    """-C: None where it is not given, which means the usual ones."""
    words = f"folder of confs (default: {usual})"
    parser.add_argument("-C", "--confs", dest=dest, action=action, metavar="DIR", type=folder, help=words)


def add_workspace(parser: argparse.ArgumentParser, *, usual: str = _HERE, revision: bool = True) -> None:
    """-C, --profiles and --revision of a review, which is about one folder: args.folder, .profiles, .revision."""
    add_confs(parser, usual, dest="folder", action=_OneFolder)
    add_profiles(parser)
    if revision:
        parser.add_argument("--revision", metavar="REV", help="the files as they were in this git revision")


def add_bare_folder(parser: argparse.ArgumentParser) -> None:
    """DIR without -C, as it was before this version: still taken, with a warning."""
    parser.add_argument("bare", action=_OneFolder, nargs="?", type=folder, help=argparse.SUPPRESS)


def add_profiles(parser: argparse.ArgumentParser) -> None:
    """--profiles: args.profiles, None for those that the confs name."""
    parser.add_argument("--profiles", type=folder, metavar="DIR", help="folder of overrides, instead of the confs' own")


class _OneFolder(argparse.Action):
    """The folder of a workspace, which is one: a second is an error, and neither is taken."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | Path | None,
        option_string: str | None = None,
    ) -> None:
        if not isinstance(values, Path):  # a bare folder that is not there
            return
        before = getattr(namespace, "folder", None)
        if before is not None:
            parser.error(f"{before} and {values}: one folder is looked at, and two are named")
        if option_string is None:
            words = f"{values} without -C is for this version only; write {parser.prog} -C {shlex.quote(str(values))}"
            print(f"{parser.prog}: warning: {printable(words)}", file=sys.stderr)
        namespace.folder = values
