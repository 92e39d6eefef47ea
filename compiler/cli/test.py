"""A workspace in, which of its tests and guardrails hold out: `calico-rkt test`."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatchcase

from calico_rkt.compiler.cli.formats.findings import FORMATS, finding_values, render_as
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_bare_folder, add_workspace
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.cli.preface import checked_out, ended, notes, read_values, say
from calico_rkt.compiler.cli.process import coloured, write_stdout
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, printable
from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.review.build import built
from calico_rkt.compiler.review.codes import status
from calico_rkt.compiler.review.coverage import untested
from calico_rkt.compiler.review.expect import Outcome, outcome
from calico_rkt.compiler.review.promises import Promise, problem, promises
from calico_rkt.compiler.review.wording import place, rule_words

EPILOG = """\
examples:
  calico-rkt test                           all tests and guardrails of the workspace here
  calico-rkt test -C net.d --only 'front*'  those whose name begins so
  calico-rkt test --coverage                and the rules that no test decides
  calico-rkt test --revision main           as the workspace was on that branch

exit status: 0 all hold, 1 some don't, 2 bad usage, unreadable input,
a rule that apply refuses (CR540), or one that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_workspace(parser)
    add_bare_folder(parser)
    parser.add_argument("--only", metavar="PATTERN", help="those whose name fits, such as 'front*'")
    parser.add_argument("--coverage", action="store_true", help="list the rules that no test decides")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the tests that hold, too")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    workspace, world = built(workspace_of(args))
    wanted = [p for p in promises(world) if args.only is None or fnmatchcase(p.expectation.name, args.only)]
    if args.only is not None and not wanted:
        hint = "a name, or a pattern with * and ?"
        raise CompileError([error("CR817", f"no test or guardrail is called {args.only!r}", hint=hint)])
    outcomes: list[tuple[Promise, Outcome]] = []
    whole = Budget.of_an_answer()
    with progress() as tell:
        for n, promise in enumerate(wanted):
            tell(n, len(wanted), promise.words)
            became = outcome(world, promise.expectation, whole, all_deciders=args.coverage)
            outcomes.append((promise, became))
    found = [d for p, o in outcomes if (d := problem(p, o)) is not None]
    missing = untested(world, [o for _, o in outcomes]) if args.coverage else None
    if args.format == "json":
        write_stdout(document("test", _values(outcomes, found, missing), read_values(workspace)))
    elif args.format == "text":
        say(args.format, workspace)
        _text(args, outcomes, found, missing)
    else:
        write_stdout(render_as(args.format, (*checked_out(workspace, found), *notes(workspace)), colour=False))
    return ended(status(found), workspace)


def _text(
    args: argparse.Namespace,
    outcomes: list[tuple[Promise, Outcome]],
    found: list[Diagnostic],
    missing: tuple[Rule, ...] | None,
) -> None:
    if args.verbose:
        for promise, o in outcomes:
            where = place(promise.expectation.span)
            write_stdout(printable(f"{'holds' if o.passed else 'FAILS'}  {where}  {promise.words}") + "\n")
    write_stdout(render_as("text", found, colour=coloured(sys.stdout)))
    if missing is not None:
        write_stdout("".join(f"no test decides {printable(rule_words(r))}\n" for r in missing))
        if not missing:
            write_stdout("every rule is decided by a test\n")
    held = sum(o.passed for _, o in outcomes)
    open_ = sum(bool(o.undecided and o.failure is None) for _, o in outcomes)
    rest = f", {open_} are not decided" if open_ else ""
    write_stdout(f"{len(outcomes)} tests and guardrails: {held} hold, {len(outcomes) - held - open_} do not{rest}\n")


def _values(
    outcomes: list[tuple[Promise, Outcome]], found: list[Diagnostic], missing: tuple[Rule, ...] | None
) -> dict[str, object]:
    out: dict[str, object] = {
        "tests": [
            {
                "kind": p.kind,
                "name": p.expectation.name,
                "line": place(p.expectation.span),
                "holds": o.passed,
                "undecided": o.undecided or None,
            }
            for p, o in outcomes
        ],
        "problems": [finding_values(d) for d in found],
    }
    if missing is not None:
        out["untested"] = [{"line": place(r.span), "rule": rule_words(r)} for r in missing]
    return out
