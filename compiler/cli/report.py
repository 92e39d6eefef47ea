"""A workspace in, one page of all that a review of it finds out: `calico-rkt report`."""

from __future__ import annotations

import argparse
import os

from calico_rkt.compiler.cli.accepted import accepted, add_baseline, today
from calico_rkt.compiler.cli.naming import add_bare_folder, add_workspace
from calico_rkt.compiler.cli.places import named, workspace_of
from calico_rkt.compiler.cli.preface import ended, lines
from calico_rkt.compiler.cli.process import write_file, write_stdout
from calico_rkt.compiler.cli.processes import shared
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.review.build import build_world, built
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.review.codes import status
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.html_report import Review, page
from calico_rkt.compiler.review.matrix import given_up, matrix_of
from calico_rkt.compiler.review.promises import promises
from calico_rkt.compiler.review.wording import place
from calico_rkt.compiler.targets.felix import JUDGED

EPILOG = """\
examples:
  calico-rkt report -o report.html                  the workspace here
  calico-rkt report -o report.html --since main     and what changed since the branch main

The same input gives the same page.

exit status: 0 written, 2 bad usage, unreadable input, a rule that
apply refuses (CR540), or something that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_workspace(parser)
    add_bare_folder(parser)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="write to FILE (-: stdout)")
    parser.add_argument("--since", metavar="OLD", help="a revision of DIR, or a folder, to compare with")
    parser.add_argument("--format", choices=("html",), default="html", help="default: %(default)s")
    add_baseline(parser)


def run(args: argparse.Namespace) -> int:
    workspace, world = built(workspace_of(args))
    before_it = None if args.since is None else named(args.since, args)
    before = None if before_it is None else build_world(before_it, felix=JUDGED)
    with progress() as tell:
        findings = accepted(args, workspace, check_workspace(workspace, tell))
        found = matrix_of(world, tell, shared)
        changed = None if before is None else diff_worlds(before, world, tell)
    whole = Budget.of_an_answer()
    outcomes = [(p, outcome(world, p.expectation, whole)) for p in promises(world)]
    tests = tuple((p.kind, p.expectation.name, place(p.expectation.span), o.verdict) for p, o in outcomes)
    dated = args.today is not None or "SOURCE_DATE_EPOCH" in os.environ
    day = str(today(args)) if dated else ""
    text = page(Review(workspace.where, found, findings, tests, changed, day, lines(workspace)))
    if args.output == "-":
        write_stdout(text)
    else:
        write_file(args.output, text)
    undecided = given_up(found) or (changed and changed.undecided) or status(findings) == 2
    undecided = undecided or any(o.undecided for _, o in outcomes)
    return ended(2 if undecided else 0, workspace, *([before_it] if before_it else []))
