"""A workspace in, what is wrong or idle in its policy out: `calico-rkt check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from calico_rkt.compiler.cli.accepted import accepted, add_baseline
from calico_rkt.compiler.cli.formats.findings import FORMATS, finding_values, findings_in_order, render_as
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_bare_folder, add_workspace
from calico_rkt.compiler.cli.options import add_choice, chosen
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.cli.preface import checked_out, notes, read_values, say
from calico_rkt.compiler.cli.process import answered, coloured, write_stdout
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.cli.watch import watch
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.review.codes import status
from calico_rkt.compiler.workspace.assemble import Workspace

EPILOG = """\
examples:
  calico-rkt check                          the workspace here
  calico-rkt check -C net.d --ignore CR804  without what is said of rules that let in everything
  calico-rkt check --watch                  again each time a file changes
  calico-rkt check --format sarif           for a code scanner
  calico-rkt check --write-baseline --reason 'before the review' --until 2027-03-01

exit status: 0 nothing to say, 1 findings, 2 bad usage, unreadable input,
or something that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_workspace(parser)
    add_bare_folder(parser)
    add_choice(parser)
    add_baseline(parser, may_write=True)
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("--watch", action="store_true", help="again each time a file changes, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    if not args.watch:
        return _check(args)
    if args.format != "text" or args.write_baseline or args.revision is not None:
        print(
            "calico-rkt check: --watch is for people who edit files: without --format, --write-baseline and --revision",
            file=sys.stderr,
        )
        return 2
    return watch(lambda: _folders(args), lambda: answered("text", lambda: _check(args)))


def _folders(args: argparse.Namespace) -> Collection[str]:
    """What an answer reads; where a bad file keeps that from being told, the folder that was named and profiles/."""
    try:
        sources = workspace_of(args).sources
    except CompileError:
        here = args.folder or Path()
        return str(here), str(args.profiles or here / "profiles")
    return (*sources.confs, *sources.profiles, *sources.absent)


def _check(args: argparse.Namespace) -> int:
    workspace = workspace_of(args)
    with progress() as tell:
        found = chosen(args, accepted(args, workspace, check_workspace(workspace, tell)))
    say(args.format, workspace)
    write_stdout(_rendered(args.format, found, workspace))
    if args.format == "text":
        count, networks = len(found), len(workspace.names)
        said = f"{count} finding{'s' * (count != 1)}" if count else "nothing to say"
        write_stdout(f"{networks} network{'s' * (networks != 1)} checked: {said}\n")
    return status(found)


def _rendered(style: str, found: tuple[Diagnostic, ...], workspace: Workspace) -> str:
    if style == "json":
        return document(
            "check", {"findings": [finding_values(d) for d in findings_in_order(found)]}, read_values(workspace)
        )
    shown = found if style == "text" else (*checked_out(workspace, found), *notes(workspace))
    return render_as(style, shown, colour=coloured(sys.stdout))
