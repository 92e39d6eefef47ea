"""What `check` found in, what neither a comment nor the baseline accepts out."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, date, datetime
from pathlib import Path

from calico_rkt.compiler.cli.options import chosen, is_chosen
from calico_rkt.compiler.cli.process import write_file
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.review.baseline import Entry, accept, baseline_text, parse_baseline, parse_date, recorded
from calico_rkt.compiler.review.codes import FINDINGS
from calico_rkt.compiler.review.ignore_comments import apply, silences
from calico_rkt.compiler.review.items import Items
from calico_rkt.compiler.text.values import BadValueError
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.compiler.workspace.files import BASELINE, read_file


def add_baseline(parser: argparse.ArgumentParser, *, may_write: bool = False) -> None:
    """--baseline, --no-baseline, --today, and for who may write it --write-baseline with --reason and --until."""
    group = parser.add_argument_group("accepted findings")
    group.add_argument("--baseline", metavar="FILE", type=_file, help=f"instead of DIR/{BASELINE}")
    group.add_argument("--no-baseline", action="store_true", help="as if there were none")
    group.add_argument("--today", metavar="DATE", type=_date, help="instead of SOURCE_DATE_EPOCH's day, or the clock's")
    if not may_write:
        parser.set_defaults(write_baseline=False)
        return
    group.add_argument(
        "--write-baseline",
        action="store_true",
        help="accept all present findings, or those of --select and --ignore; needs --reason",
    )
    group.add_argument("--reason", metavar="TEXT", help="why they are accepted")
    group.add_argument(
        "--until", metavar="DATE", type=_date, help="when they become findings again, such as 2027-03-01"
    )


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def accepted(args: argparse.Namespace, workspace: Workspace, found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """What is left of the findings. Raises CompileError for a baseline that can't be read."""
    given, problems = silences(workspace.data)
    found = (*apply(found, given, FINDINGS), *problems)
    path, entries = _entries(args, workspace)
    items = Items(workspace.data)
    if args.write_baseline:
        if args.no_baseline and args.baseline is None and workspace.baseline is not None:
            # Findings are told as if there were none; what it says stays all the same.
            entries = parse_baseline(str(path), workspace.baseline)
        kept = [e for e in entries if not is_chosen(args, e.code)]
        mine = [e for e in entries if is_chosen(args, e.code)]
        chosen_ones = chosen(args, found)
        new = recorded(chosen_ones, mine, workspace.home, args.reason or "", args.until, items)
        _write(args, path, (*kept, *new))
        _, entries = _entries(argparse.Namespace(**{**vars(args), "baseline": path}), workspace)
    return accept(found, entries, workspace.home, today(args), items)


def _entries(args: argparse.Namespace, workspace: Workspace) -> tuple[Path, tuple[Entry, ...]]:
    beside = Path(workspace.home) / BASELINE
    if args.baseline is not None and (args.baseline.exists() or not args.write_baseline):
        return args.baseline, parse_baseline(str(args.baseline), read_file(args.baseline))
    if args.baseline is not None or args.no_baseline or workspace.baseline is None:
        return args.baseline or beside, ()
    return beside, parse_baseline(str(beside), workspace.baseline)


def _write(args: argparse.Namespace, path: Path, entries: tuple[Entry, ...]) -> None:
    if not (args.reason or "").strip() or args.revision is not None:
        message = "--write-baseline needs --reason" if args.revision is None else "a revision can't be written to"
        raise CompileError([error("CR823", message, hint="--reason 'why these are accepted'")])
    write_file(str(path), baseline_text(entries))


def today(args: argparse.Namespace) -> date:
    """The day that --today, SOURCE_DATE_EPOCH or the clock says."""
    given: date | None = args.today
    if given is not None:
        return given
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return datetime.now(tz=UTC).date()
    try:
        return datetime.fromtimestamp(int(epoch), tz=UTC).date()
    except (ValueError, OverflowError, OSError) as e:
        message = f"SOURCE_DATE_EPOCH is {epoch!r}, no number of seconds"
        raise CompileError([error("CR823", message, hint="unset it, or give --today")]) from e


def _date(text: str) -> date:
    try:
        return parse_date(text)
    except BadValueError as e:
        raise argparse.ArgumentTypeError(f"{e.message}; {e.hint}") from e
