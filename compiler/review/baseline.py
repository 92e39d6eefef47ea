"""A workspace's baseline.yaml in, the findings that it accepts out: for whoever adopts `check` with findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias, TypeVar

from calico_rkt.compiler.diagnostics import Diagnostic, Span, raise_errors, warning
from calico_rkt.compiler.review.codes import SILENCEABLE
from calico_rkt.compiler.review.items import NO_FILES, Items
from calico_rkt.compiler.text.fields import Field, Problems, did_you_mean, fields_of, items_of, text_of
from calico_rkt.compiler.text.nodes import Mapping, Node
from calico_rkt.compiler.text.values import BadValueError, parse_number
from calico_rkt.compiler.text.yaml_nodes import parse_yaml

T = TypeVar("T")
Key: TypeAlias = tuple[str, str, str]
"""A code, a file, and the text of a rule or line."""

KEYS = ("code", "file", "text", "whole", "reason", "until", "count")
_HEAD = """\
# Findings of `calico-rkt check` that are accepted, each with a reason. An entry is about a code and the text of a
# rule, not its line's number: lines may move. After `until` it is a finding again, and so is a rule that changed.
# An entry that fits nothing is a finding, too. `whole: true`: a rule of one line, and none that only begins so.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """count findings of a code about rules, or lines, of this text, in a file of the workspace.

    text is empty for a file as such. Entries of older builds have the first line alone of what goes on over several;
    whole says of a rule of one line that this is no such entry.
    """

    code: str
    file: str
    text: str
    reason: str
    until: date | None = None
    count: int = 1
    span: Span | None = None
    whole: bool = False

    @property
    def key(self) -> Key:
        return self.code, self.file, self.text


def parse_baseline(path: str, data: bytes) -> tuple[Entry, ...]:
    """Raises CompileError with everything that is wrong with it: a baseline that is half read would hide too much."""
    problems = Problems()
    found = fields_of(parse_yaml(path, data), ("baseline",), "a baseline", problems)
    nodes = items_of(found["baseline"].value, "baseline", problems) if "baseline" in found else ()
    entries = [e for node in nodes if (e := _entry(node, problems)) is not None]
    raise_errors(problems.found)
    return tuple(entries)


def accept(
    diagnostics: Iterable[Diagnostic], entries: Sequence[Entry], where: str, today: date, items: Items = NO_FILES
) -> tuple[Diagnostic, ...]:
    """What the entries leave over; where is the workspace's, whose files they name by their path inside it.

    items are of the files that the findings are about.

    A finding whose entry has ended says so. An entry that fits fewer findings than it counts is one itself.
    """
    left: Counter[tuple[Key, bool]] = Counter()
    ended: dict[tuple[Key, bool], date] = {}
    for e in entries:
        if e.until is not None and e.until < today:
            ended[e.key, e.whole] = e.until
        else:
            left[e.key, e.whole] += e.count
    out: list[Diagnostic] = []
    for d in diagnostics:
        keys = _fitting(fingerprint(d, where, items), fingerprint(d, where))
        fitting = next((k for k in keys if left[k] > 0), None)
        over = next((k for k in keys if k in ended), None)
        if d.code in SILENCEABLE and fitting is not None:
            left[fitting] -= 1
        elif over is not None:
            out.append(replace(d, hint=f"{d.hint}; its entry in the baseline ended on {ended[over]}".lstrip("; ")))
        else:
            out.append(d)
    for e in entries:
        if left[e.key, e.whole] > 0:
            n = min(left[e.key, e.whole], e.count)
            left[e.key, e.whole] -= n
            said = "nothing" if n == e.count else f"only {e.count - n} of {e.count} findings"
            message = f"this entry of the baseline fits {said}"
            out.append(warning("CR822", message, e.span, hint="take it out: what it accepted is gone"))
    return tuple(out)


def _fitting(key: Key, older: Key) -> list[tuple[Key, bool]]:
    """What entries may say of a finding, by its text and its first line alone: the most exact first."""
    return [(key, True), (key, False), *([(older, False)] if older != key else [])]


def fingerprint(d: Diagnostic, where: str, items: Items = NO_FILES) -> Key:
    """What of a finding stays when lines move: its code, its file in the workspace, the text of its rule or line."""
    path = d.span.path if d.span else d.path
    prefix = where.removesuffix(".") if where == "." or where.endswith(":.") else f"{where}/"
    return d.code, path.removeprefix(prefix), items.text(d.span) if d.span else ""


def baseline_text(entries: Iterable[Entry]) -> str:
    """The file of these entries; reading it gives them back."""
    lines = [_HEAD + "baseline:"]
    for e in sorted(entries, key=lambda e: (e.file, e.code, e.text)):
        values: list[tuple[str, object]] = [("code", e.code), ("file", e.file)]
        values += [("text", e.text)] if e.text else []
        values += [("whole", "true")] if e.whole else []
        values += [("count", e.count)] if e.count > 1 else []
        values += [("reason", e.reason)]
        values += [("until", e.until.isoformat())] if e.until else []
        for n, (key, value) in enumerate(values):
            # A JSON string is a YAML string, whatever is in it.
            shown = value if key in ("code", "whole", "count", "until") else json.dumps(value, ensure_ascii=False)
            lines.append(f"{'  - ' if n == 0 else '    '}{key}: {shown}")
    return "\n".join(lines) + ("\n" if len(lines) > 1 else " []\n")


def recorded(
    diagnostics: Iterable[Diagnostic],
    before: Sequence[Entry],
    where: str,
    reason: str,
    until: date | None,
    items: Items = NO_FILES,
) -> tuple[Entry, ...]:
    """Entries for all findings that may be accepted. One that is there keeps its reason and its end."""
    counts = Counter(
        (fingerprint(d, where, items), fingerprint(d, where)) for d in diagnostics if d.code in SILENCEABLE
    )
    known = {(e.key, e.whole): e for e in before}
    out: list[Entry] = []
    for (key, older), n in counts.items():
        kept = next((known[k] for k in _fitting(key, older) if k in known), None)
        entry = Entry(*key, reason=reason, until=until, count=n, whole=key == older and key[2].startswith("- "))
        out.append(entry if kept is None else replace(kept, text=entry.text, count=n, whole=entry.whole))
    return tuple(out)


def parse_date(text: str) -> date:
    """`2027-03-01`; BadValueError for anything else."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadValueError("CR823", f"{text!r} is no date", "year-month-day, such as 2027-03-01")


def _entry(node: Node, problems: Problems) -> Entry | None:
    before = len(problems.found)
    found = fields_of(node, KEYS, "an entry", problems)
    for key in ("code", "file", "reason"):
        if isinstance(node, Mapping) and key not in found:
            problems.error("CR304", f"an entry without {key}", node.span)
    texts = {k: t.text for k, f in found.items() if (t := text_of(f.value, k, problems)) is not None}
    code = texts.get("code", "")
    if "code" in texts and code not in SILENCEABLE:
        problems.error(
            "CR823", f"{code!r} is nothing to accept", found["code"].value.span, did_you_mean(code, SILENCEABLE)
        )
    if "reason" in texts and not texts["reason"].strip():
        problems.error("CR823", "the reason is empty", found["reason"].value.span, "say why this is accepted")
    until = _value(found, texts, "until", problems, parse_date)
    count = _value(found, texts, "count", problems, lambda t: parse_number(t, "a count", 1, 10**6, "CR823"))
    if texts.get("whole", "true") != "true":
        problems.error("CR823", "whole is true or left out", found["whole"].value.span)
    if not found or len(problems.found) > before:
        return None
    text, whole = texts.get("text", ""), "whole" in texts
    return Entry(code, texts["file"], text, texts["reason"], until, 1 if count is None else count, node.span, whole)


def _value(
    found: dict[str, Field], texts: dict[str, str], key: str, problems: Problems, parse: Callable[[str], T]
) -> T | None:
    if key not in texts:
        return None
    try:
        return parse(texts[key])
    except BadValueError as e:
        problems.error(e.code, e.message, found[key].value.span, e.hint)
        return None
