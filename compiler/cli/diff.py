"""Two revisions of a workspace in, what the change lets through out: `calico-rkt diff`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from calico_rkt.compiler.cli.formats.diff_markdown import markdown
from calico_rkt.compiler.cli.formats.findings import FORMATS, render_as
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_workspace
from calico_rkt.compiler.cli.places import here, named
from calico_rkt.compiler.cli.preface import checked_out, ended, notes, read_values, reservations_beside, say
from calico_rkt.compiler.cli.process import coloured, write_stdout
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.review.build import built
from calico_rkt.compiler.review.change import Change, Diff
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.diff_text import problems_of_diff, strays_text, text_of_diff, values_of_diff
from calico_rkt.compiler.review.envelope import outside_envelope
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.assemble import Workspace

EPILOG = """\
examples:
  calico-rkt diff main                      from the branch main to the files here
  calico-rkt diff main HEAD -C net.d        from one revision of net.d to another
  calico-rkt diff before after              from one folder to another
  calico-rkt diff main --fail-on widened    exit 1 only where something is newly allowed
  calico-rkt diff main --within-guardrails  exit 1 where something newly allowed is outside the envelope

exit status: 0 same packets (or what was asked for holds), 1 differences, 2 bad usage, unreadable input,
a rule that apply refuses (CR540), or a pair that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="a git revision, a folder, or REV:DIR")
    parser.add_argument("new", metavar="NEW", nargs="?", help="the same; left out, the folder as it is")
    add_workspace(parser, revision=False)
    parser.add_argument(
        "--fail-on", choices=("any", "widened"), default="any", help="what exit status 1 is for (default: %(default)s)"
    )
    parser.add_argument(
        "--within-guardrails",
        action="store_true",
        help="exit status 1 is for newly allowed packets outside the envelope of OLD's guardrails",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    worlds: list[World] = []
    workspaces: list[Workspace] = []
    found: list[Diagnostic] = []
    for number, side in enumerate((args.old, args.new)):
        try:
            found_side = here(args) if side is None else named(side, args)
            # What the old side says may be in force: it is read, whatever Felix makes of it.
            workspace, world = built(found_side, felix=JUDGED if number == 0 else None)
            workspaces.append(workspace)
            worlds.append(world)
        except CompileError as e:
            found += e.diagnostics
    if found:
        raise CompileError(found)
    old, new = worlds
    with progress() as tell:
        result = diff_worlds(old, new, tell)
        strays = None
        if args.within_guardrails:
            strays, undecided = outside_envelope(old, new, result, tell)
            result = replace(result, undecided=undecided)
    say(args.format, *workspaces)
    write_stdout(_rendered(args.format, result, strays, workspaces))
    return ended(_status(args, result, strays), _without_refused(workspaces[0]), workspaces[1])


def _status(args: argparse.Namespace, result: Diff, strays: tuple[Change, ...] | None) -> int:
    if result.undecided:
        return 2
    if strays is not None:
        return 1 if strays else 0
    return 1 if (result.widened if args.fail_on == "widened" else result.changes) else 0


def _rendered(style: str, result: Diff, strays: tuple[Change, ...] | None, workspaces: list[Workspace]) -> str:
    if style == "json":
        read = dict(zip(("old", "new"), map(read_values, workspaces), strict=True))
        return document("diff", values_of_diff(result, strays), read)
    if style == "markdown":
        return markdown(result, strays) + reservations_beside(style, *workspaces)
    if style == "text":
        return text_of_diff(result, colour=coloured(sys.stdout)) + strays_text(strays, undecided=bool(result.undecided))
    found = checked_out(workspaces[1], problems_of_diff(result, strays))
    told = (n for w in (_without_refused(workspaces[0]), workspaces[1]) for n in notes(w))
    return render_as(style, (*found, *told), colour=False)


def _without_refused(old: Workspace) -> Workspace:
    """What the old side says may be wrong: the new one may be its mend, and no error of that is a finding about it."""
    return replace(old, refused=())
