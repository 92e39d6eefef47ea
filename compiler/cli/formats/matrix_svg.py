"""A Matrix in, a picture out: SVG in light and dark colours, the words in the cells where they have room."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from calico_rkt.compiler.diagnostics import printable
from calico_rkt.compiler.review.matrix import Cell, Matrix, Words, cell_kind, cell_words

_WORDY = 8
"""Up to so many columns each cell has its words written in it; with more it is a square with its mark."""
_LETTER = 8
"""Pixels that a letter of 13 pixels takes in any monospace font, at most."""
_LABEL, _COLUMNS, _LINES = 24, 19, 3
"""Letters of a name, letters of a line in a cell, and its lines; what is longer ends in dots, and is in the title."""
_STYLE = """\
<style>
svg { background: #ffffff; color: #1f2937 }
text { fill: currentColor }
.all { fill: #fde68a } .some { fill: #a5f3fc } .none { fill: #f3f4f6 } .undecided { fill: #fecaca }
.host { fill: #ddd6fe } .nobody { fill: #ffffff; stroke: #d1d5db } .small { font-size: 11px } .faint { opacity: .65 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; color: #e5e7eb }
.all { fill: #78450a } .some { fill: #155e75 } .none { fill: #1f2937 } .undecided { fill: #7f1d1d }
.host { fill: #4c1d95 } .nobody { fill: #0d1117; stroke: #374151 }
}
</style>"""
_KINDS = {"all": "everything", "some": "some packets", "none": "nothing", "host": "left to the host"}
_KINDS |= {"undecided": "undecided", "nobody": "no pair"}
_BLANK = "blank: not for this workspace to decide"


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where things stand, in pixels: the first cell's corner, and a cell's size with its gap."""

    left: int
    top: int
    wide: int
    high: int
    wordy: bool


def render_svg(m: Matrix, marks: Mapping[str, str]) -> str:
    """The picture, whole and by itself; marks are those of the text table, for cells that are too small for words."""
    grid = _grid(m)
    kinds = [k for k in _KINDS if any(cell_kind(cell) == k for cell in m.cells.values())]
    legend = list(_legend(grid, m, kinds, marks))
    width = max(grid.left + grid.wide * len(m.columns) + 8, 8 + _LETTER * (len(_BLANK) + 2))
    height = grid.top + grid.high * len(m.rows) + 16 + 20 * (len(kinds) + 1)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
            ' font-family="ui-monospace, monospace" font-size="13" role="img" aria-label="who reaches whom">',
            _STYLE,
            *_names(m, grid),
            *_cells(m, grid, marks),
            *legend,
            "</svg>",
            "",
        )
    )


def _grid(m: Matrix) -> _Grid:
    rows = max(_LETTER * len(_cut(name, _LABEL)) for name in (*m.rows, "from, to")) + 20
    if len(m.columns) <= _WORDY:
        return _Grid(left=rows, top=36, wide=_COLUMNS * 7 + 16, high=16 * _LINES + 10, wordy=True)
    columns = max(_LETTER * len(_cut(name, _LABEL)) for name in m.columns) + 20
    return _Grid(left=rows, top=columns, wide=22, high=22, wordy=False)


def _cut(text: str, most: int) -> str:
    shown = printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _names(m: Matrix, grid: _Grid) -> Iterator[str]:
    """Those who send stand before the rows, those who are reached above the columns."""
    for y, name in enumerate(m.rows):
        middle = grid.top + y * grid.high + (grid.high - 4) // 2 + 5
        yield _text(grid.left - 10, middle, name, ' text-anchor="end"')
    for x, name in enumerate(m.columns):
        if grid.wordy:
            yield _text(grid.left + x * grid.wide + (grid.wide - 4) // 2, grid.top - 12, name, ' text-anchor="middle"')
        else:
            at = grid.left + x * grid.wide + 14
            yield _text(at, grid.top - 8, name, f' transform="rotate(-90 {at} {grid.top - 8})"')
    yield _text(grid.left - 10, grid.top - 12, "from, to", ' text-anchor="end" class="small faint"')


def _text(x: int, y: int, words: str, more: str) -> str:
    shown = escape(_cut(words, _LABEL))
    return f'<text x="{x}" y="{y}"{more}>{shown}</text>'


def _cells(m: Matrix, grid: _Grid, marks: Mapping[str, str]) -> Iterator[str]:
    words = Words()
    for y, row in enumerate(m.rows):
        for x, column in enumerate(m.columns):
            cell = m.cells.get((row, column))
            if cell is None:
                continue
            left, top = grid.left + x * grid.wide, grid.top + y * grid.high
            title = escape(printable(f"{row} -> {column}: {words.of(cell)}"))
            yield f"<g><title>{title}</title>"
            yield _box(left, top, grid.wide - 4, grid.high - 4, cell_kind(cell))
            lines = _lines(cell) if grid.wordy else [marks[cell_kind(cell)]]
            middle = left + (grid.wide - 4) // 2
            first = top + (grid.high - 4) // 2 + 4 - 7 * (len(lines) - 1)
            for n, line in enumerate(lines):
                at = f'x="{middle}" y="{first + 14 * n}"'
                yield f'<text {at} text-anchor="middle" class="small">{escape(line)}</text>'
            yield "</g>"


def _box(x: int, y: int, wide: int, high: int, of: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="3" class="{of}"/>'


def _lines(cell: Cell) -> list[str]:
    """A cell's words in the lines that it has room for; dots where there are more."""
    lines = textwrap.wrap(printable(cell_words(cell)), _COLUMNS, max_lines=_LINES, placeholder=" …")
    return lines or [""]


def _legend(grid: _Grid, m: Matrix, kinds: list[str], marks: Mapping[str, str]) -> Iterator[str]:
    top = grid.top + grid.high * len(m.rows) + 10
    for n, k in enumerate(kinds):
        yield _box(12, top + 20 * n, 14, 14, k)
        words = _KINDS[k] if grid.wordy else f"{marks[k]} {_KINDS[k]}"
        yield f'<text x="34" y="{top + 20 * n + 11}" class="small">{words}</text>'
    yield f'<text x="34" y="{top + 20 * len(kinds) + 11}" class="small faint">{_BLANK}</text>'
