"""Rows in, a bar chart as SVG out: each figure beside its peer's, with the ratio and its bound."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.bench.attach import Row

_WIDTH, _LEFT, _BAR, _GAP, _TOP = 900, 360, 14, 46, 70


def svg(rows: Sequence[Row]) -> str:
    """Bars on a scale of ratios: the peer is 1, the bound a line."""
    longest = max(1.5, *(r.ratio for r in rows))
    scale = (_WIDTH - _LEFT - 130) / longest
    height = _TOP + _GAP * len(rows) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="20" y="28" font-size="17">calico-rkt beside its peers, in one run: medians, as ratios</text>',
        _words(
            20, 48, 12, "#555", "green or red: ours, within its bound or not; grey: the peer (1.0); mark: the bound"
        ),
    ]
    for number, row in enumerate(rows):
        y = _TOP + number * _GAP
        right = _LEFT + max(row.ratio, 1, row.bound) * scale + 8
        colour = "#2e7d32" if row.ratio <= row.bound else "#c62828"
        lines += [
            f'<text x="{_LEFT - 10}" y="{y + 17}" font-size="12" text-anchor="end">{escape(row.what)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{row.ratio * scale:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<rect x="{_LEFT}" y="{y + _BAR + 2}" width="{scale:.1f}" height="{_BAR - 4}" fill="#bbb"/>',
            f'<path d="M{_LEFT + row.bound * scale:.1f} {y - 3}v{_BAR + 6}" stroke="#000" stroke-width="2"/>',
            _words(right, y + 12, 12, "#000", f"{row.ratio:.2f} (bound {row.bound:g})"),
            _words(right, y + 26, 11, "#555", f"{row.ours:.2f} and {row.peer:.2f} {row.unit}"),
        ]
    return "\n".join([*lines, "</svg>", ""])


def _words(x: float, y: float, size: int, colour: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
