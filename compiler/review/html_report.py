"""What a review found in, one page that needs nothing but itself out: HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from calico_rkt import __version__
from calico_rkt.compiler.diagnostics import Diagnostic, printable
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.change import Change, Diff
from calico_rkt.compiler.review.diff_text import decided_by, named_parties, remarks_of_diff
from calico_rkt.compiler.review.matrix import Cell, Matrix, Words, cell_kind, flow_words
from calico_rkt.compiler.review.wording import place, rule_says
from calico_rkt.compiler.targets.printing import render_template, template_text

MARKS = {"all": "#", "some": "+", "none": "·", "host": "~", "undecided": "?", "nobody": "-"}


@dataclass(frozen=True, slots=True)
class Review:
    """All that a page shows. tests are kind, name, place, whether it holds (None: not decided).

    diff is None where none was asked for. read says which folders were read, and what leaves the answers open.
    """

    where: str
    matrix: Matrix
    findings: tuple[Diagnostic, ...]
    tests: tuple[tuple[str, str, str, bool | None], ...]
    diff: Diff | None = None
    today: str = ""
    read: tuple[str, ...] = ()


def page(review: Review) -> str:
    """The page. Everything that comes from a file is text in it; it loads nothing and sends nothing."""
    style, script = template_text("report/page.css"), template_text("report/page.js")
    cells = {key: n for n, key in enumerate(review.matrix.cells)}
    sections = [("matrix", "who reaches whom"), ("flows", "pairs"), ("findings", "findings"), ("tests", "tests")]
    if review.diff is not None:
        sections.insert(0, ("changes", "what changed"))
    return render_template(
        "report/page.html.j2",
        where=printable(review.where),
        read=[printable(line) for line in review.read],
        version=__version__,
        today=review.today,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
        summary=_summary(review),
        sections=sections,
        columns=[printable(c) for c in review.matrix.columns],
        rows=_rows(review.matrix, cells),
        told=[
            _told(key, review.matrix.cells[key], n)
            for key, n in cells.items()
            if cell_kind(review.matrix.cells[key]) != "none"
        ],
        left=any(cell_kind(c) == "host" for c in review.matrix.cells.values()),
        undecided=any(c.undecided for c in review.matrix.cells.values()),
        nobody=any(c.nobody for c in review.matrix.cells.values()),
        findings=[_finding(d) for d in review.findings],
        tests=[dict(zip(("kind", "name", "place", "holds"), t, strict=True)) for t in review.tests],
        since=printable(review.diff.old) if review.diff else "",
        remarks=[printable(r) for r in remarks_of_diff(review.diff)] if review.diff else [],
        changes=_changes(review.diff),
    )


def _summary(review: Review) -> str:
    networks = sum(1 for r in review.matrix.rows if (r, r) in review.matrix.cells)
    failing, undecided = (sum(t[3] is verdict for t in review.tests) for verdict in (False, None))
    said = (
        f"{networks} network{'s' * (networks != 1)}, {len(review.findings)} finding{'s' * (len(review.findings) != 1)}"
    )
    said += f", {len(review.tests)} test{'s' * (len(review.tests) != 1)} and guardrails, {failing} of which do not hold"
    said += f", {undecided} are not decided" if undecided else ""
    if review.diff is not None:
        widened = sum(c.widened for c in review.diff.changes)
        denied = len(review.diff.changes) - widened
        said += f"; since {printable(review.diff.old)} {widened} flows newly allowed, {denied} newly denied"
    return said + "."


def _rows(matrix: Matrix, ids: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    first, said = True, Words()
    for row in matrix.rows:
        cells: list[dict[str, object] | None] = []
        for column in matrix.columns:
            cell = matrix.cells.get((row, column))
            if cell is None:
                cells.append(None)
                continue
            words = printable(said.of(cell))
            values = {
                "id": ids[row, column],
                "kind": cell_kind(cell),
                "mark": MARKS[cell_kind(cell)],
                "to": printable(column),
            }
            cells.append({**values, "words": words, "first": first})
            first = False
        out.append({"name": printable(row), "cells": cells})
    return out


def _told(key: tuple[str, str], cell: Cell, number: int) -> dict[str, object]:
    rules = [
        {
            "stage": printable(stage.words),
            "words": printable(rule_says(rule)),
            "place": printable(place(rule.span)),
            "line": printable(rule.span.text.strip()) if rule.span else "",
        }
        for stage, rule in cell.rules
    ]
    flows = [printable(words) for words in flow_words(cell)]
    flows = [f"no such pair: {cell.nobody}"] if cell.nobody else flows
    flows += [f"not decided: {cell.undecided}"] if cell.undecided else []
    return {"id": number, "from": printable(key[0]), "to": printable(key[1]), "flows": flows, "rules": rules}


def _finding(d: Diagnostic) -> dict[str, str]:
    line = printable(d.span.text) if d.span else ""
    texts = {"message": d.message, "hint": d.hint, "where": d.where}
    return {"severity": d.severity.value, "code": d.code, "line": line, **{k: printable(v) for k, v in texts.items()}}


def _changes(diff: Diff | None) -> list[tuple[str, list[dict[str, object]]]] | None:
    if diff is None:
        return None
    groups = (("Newly allowed", True), ("Newly denied", False))
    return [(title, [_change(c) for c in diff.changes if c.widened is widened]) for title, widened in groups]


def _change(c: Change) -> dict[str, object]:
    texts: Iterable[tuple[str, str]] = (
        ("sources", named_parties(c.sources)),
        ("destinations", named_parties(c.destinations)),
        ("flow", str(c.flow)),
        ("example", packet_words(c.example)),
    )
    return {**{k: printable(v) for k, v in texts}, "decided": [printable(words) for words in decided_by(c)]}


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
