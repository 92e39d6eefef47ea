"""The comments of a YAML file in, which findings they silence out: `# calico-rkt: ignore CR801 -- why`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import Diagnostic, Span, warning
from calico_rkt.compiler.review.codes import SILENCEABLE
from calico_rkt.compiler.review.items import last_of_item
from calico_rkt.compiler.text.fields import did_you_mean
from calico_rkt.compiler.text.yaml_nodes import comments

_OURS = re.compile(r"#\s*calico[-_ ]?r[a-z]{1,3}\b\s*:?\s*", re.IGNORECASE)
_EXACT = re.compile(r"# calico-rkt: ignore (?P<codes>CR[0-9]{3}(?:\s*,\s*CR[0-9]{3})*)(?P<rest>.*)\Z")
_FORM = "# calico-rkt: ignore CR801 -- why"


@dataclass(frozen=True, slots=True)
class Silence:
    """Codes that are not told of the lines first to last of a file; span is the comment's own place."""

    path: str
    codes: tuple[str, ...]
    first: int
    last: int
    reason: str
    span: Span

    def covers(self, d: Diagnostic) -> bool:
        return d.span is not None and d.span.path == self.path and self.first <= d.span.line <= self.last


def silences(files: Mapping[str, bytes]) -> tuple[tuple[Silence, ...], tuple[Diagnostic, ...]]:
    """The silences of all files, and what is wrong with others that look like one.

    A comment on a line of its own is about what follows it, another one about its own line. An item of a list is
    meant with all of its lines; anything else with that line alone.
    """
    found: list[Silence] = []
    problems: list[Diagnostic] = []
    for path, data in files.items():
        if b"#" not in data or not _OURS.search(data.decode("utf-8", "replace")):
            continue
        lines = data.decode("utf-8", "replace").split("\n")
        for number, column, text in comments(data):
            if _OURS.match(text):
                span = Span(path, number, column, column + len(text), lines[number - 1])
                one = _silence(text, span, lines)
                if isinstance(one, Silence):
                    found.append(one)
                else:
                    problems.append(one)
    return tuple(found), tuple(problems)


def apply(
    diagnostics: Iterable[Diagnostic], given: Iterable[Silence], looked_for: Iterable[str]
) -> tuple[Diagnostic, ...]:
    """The diagnostics that no silence covers, and a finding for each code of a silence that silenced nothing.

    looked_for are the codes that the analysis was asked for: of another one nobody can say that it was in vain.
    """
    kept: list[Diagnostic] = []
    used: set[tuple[int, str]] = set()
    all_of = tuple(given)
    for d in diagnostics:
        by = [n for n, s in enumerate(all_of) if d.code in s.codes and s.covers(d)]
        used.update((n, d.code) for n in by)
        if not by:
            kept.append(d)
    asked = set(looked_for)
    for n, silence in enumerate(all_of):
        for code in silence.codes:
            if (n, code) not in used and code in asked:
                message = f"this silences nothing: there is no {code} here"
                kept.append(warning("CR820", message, silence.span, hint="take the comment out"))
    return tuple(kept)


def _silence(text: str, span: Span, lines: list[str]) -> Silence | Diagnostic:
    match = _EXACT.match(text)
    if match is None:
        return warning("CR821", "this looks like a silence and is none", span, hint=f"write {_FORM}")
    codes = tuple(c.strip() for c in match["codes"].split(","))
    for code in codes:
        if code not in SILENCEABLE:
            hint = did_you_mean(code, SILENCEABLE)
            return warning("CR821", f"{code} is nothing that can be silenced, so nothing is", span, hint=hint)
    dashes, _, reason = match["rest"].strip().partition(" ")
    if dashes != "--" or not reason.strip():
        hint = f"{_FORM}: whoever reads it next has to know"
        return warning("CR821", "a silence without a reason silences nothing", span, hint=hint)
    first = span.line if lines[span.line - 1][: span.column - 1].strip() else _next(lines, span.line)
    return Silence(span.path, codes, first, last_of_item(lines, first), reason.strip(), span)


def _next(lines: list[str], after: int) -> int:
    """The number of the first line behind that holds more than a comment."""
    number = after + 1
    while number <= len(lines) and lines[number - 1].strip()[:1] in ("", "#"):
        number += 1
    return number
