"""A Matrix in, text, markdown, CSV, JSON or an SVG picture out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from calico_rkt.compiler.cli.formats.findings import markdown_text
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.formats.matrix_svg import render_svg
from calico_rkt.compiler.diagnostics import printable
from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.review.each import Each
from calico_rkt.compiler.review.matrix import Cell, Matrix, Words, cell_kind
from calico_rkt.compiler.review.pair import Stage
from calico_rkt.compiler.review.wording import place, rule_words

MARKS = {"all": "#", "some": "+", "none": ".", "host": "~", "undecided": "?", "nobody": "-", "": " "}
_COLOURS = {"all": "33", "some": "36", "none": "2", "host": "35", "undecided": "31", "nobody": "2", "": "0"}
_WIDEST = 40
"""Columns of a table that a terminal shows; more are listed cell by cell only."""
_LEGEND = "# everything  + some packets  . nothing  (blank: not for this workspace to decide)"
_RARE = {"host": "  ~ left to the host", "undecided": "  ? undecided", "nobody": "  - no such pair"}


def render_matrix(style: str, m: Matrix, *, colour: bool, read: Mapping[str, object] | None = None) -> str:
    """The matrix in a style of the command's; colour is for text only, read for JSON: which folders decided."""
    if style == "text":
        return _text(m, colour=colour)
    if style == "json":
        return _json(m, read)
    if style == "svg":
        return render_svg(m, MARKS)
    return {"markdown": _markdown, "csv": _csv}[style](m)


def _text(m: Matrix, *, colour: bool) -> str:
    def mark(cell: Cell | None) -> str:
        k = cell_kind(cell)
        return f"\x1b[{_COLOURS[k]}m{MARKS[k]}\x1b[0m" if colour else MARKS[k]

    out: list[str] = []
    if len(m.columns) <= _WIDEST:
        width = max(map(len, m.rows))
        for n, column in enumerate(m.columns):
            out.append(" " * (width + 2) + "| " * n + f"{printable(column)}")
        for row in m.rows:
            marks = " ".join(mark(m.cells.get((row, column))) for column in m.columns)
            out.append(f"{printable(row):<{width}}  {marks}")
        rare = "".join(words for k, words in _RARE.items() if any(cell_kind(c) == k for c in m.cells.values()))
        out += ["", _LEGEND + rare, ""]
    words = Words()
    for (row, column), cell in m.cells.items():
        if cell_kind(cell) != "none":
            out.append(printable(f"{row} -> {column}: {words.of(cell)}"))
    return "\n".join(line.rstrip() for line in out) + "\n"


def _markdown(m: Matrix) -> str:
    lines = [
        "| from \\\\ to | " + " | ".join(map(markdown_text, m.columns)) + " |",
        "| --- " * (len(m.columns) + 1) + "|",
    ]
    words = Words()
    for row in m.rows:
        cells = [markdown_text(words.of(c)) if (c := m.cells.get((row, column))) else "" for column in m.columns]
        lines.append(f"| {markdown_text(row)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _csv(m: Matrix) -> str:
    """One line a cell (RFC 4180); what a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    words = Words()
    writer.writerow(("from", "to", "reach", "packets", "rules"))
    for (row, column), cell in m.cells.items():
        rules = "; ".join(place(r.span) for _, r in cell.rules if r.span)
        writer.writerow([_harmless(x) for x in (row, column, cell_kind(cell), words.of(cell), rules)])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else printable(text)


def _json(m: Matrix, read: Mapping[str, object] | None) -> str:
    words = Words()

    def values(of: tuple[tuple[str, str], Cell]) -> dict[str, object]:
        (row, column), cell = of
        return {
            "from": row,
            "to": column,
            "reach": cell_kind(cell),
            "flows": [f.values() for f in cell.flows],
            "words": words.of(cell),
            "left_to_host": cell.unsure,
            "left": [f.values() for f in cell.left],
            "rules": [_rule(s, r) for s, r in cell.rules],
            "decided": [[_rule(s, r) for s, r in rules] for rules in cell.decided],
            "undecided": cell.undecided or None,
            "nobody": cell.nobody or None,
        }

    cells = Each(m.cells.items(), values)
    return document("matrix", {"rows": m.rows, "columns": m.columns, "cells": cells}, read)


def _rule(stage: Stage, rule: Rule) -> dict[str, object]:
    return {"stage": stage.words, "rule": rule_words(rule), "line": place(rule.span) or None}
