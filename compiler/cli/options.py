"""Which findings somebody wants to hear of: --select and --ignore."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.review.codes import FINDINGS, is_finding
from calico_rkt.compiler.text.fields import did_you_mean

_CODE = re.compile(r"CR[0-9]{0,3}\Z")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """--select and --ignore; each may be given again, or hold several codes with commas."""
    parser.add_argument("--select", metavar="CODE", action="append", type=_codes, help="only these, such as CR8,CR712")
    parser.add_argument("--ignore", metavar="CODE", action="append", type=_codes, help="all but these")


def chosen(args: argparse.Namespace, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """What is left of the findings; what can't be read or compiled is never left out."""
    return tuple(d for d in diagnostics if not is_finding(d) or is_chosen(args, d.code))


def is_chosen(args: argparse.Namespace, code: str) -> bool:
    """Whether findings of the code are wanted."""
    select = tuple(c for codes in args.select or () for c in codes)
    ignore = tuple(c for codes in args.ignore or () for c in codes)
    return (not select or code.startswith(select)) and not code.startswith(ignore or ("-",))


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(c.strip() for c in text.split(","))
    for code in codes:
        if not _CODE.match(code) or not any(known.startswith(code) for known in FINDINGS):
            raise argparse.ArgumentTypeError(f"no finding has the code {code!r}; {did_you_mean(code, FINDINGS)}")
    return codes
