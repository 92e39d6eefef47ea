"""Many boxes in, those that may meet a given box out, without looking at each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_

from calico_rkt.compiler.packets.space import Box

_FEW = 24
"""Cells of a dimension for which each has a set of its own: exact, where the order knows the outermost cells only."""


class Index:
    """Answers with a bit set over the boxes' positions; what it leaves out can't meet the box, the rest may.

    For every dimension the boxes are ordered by their lowest and by their highest cell, each with the set of all
    up to there (the idea: Lakshman and Stiliadis, bit vectors for packet classification).
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes = boxes
        self._all = (1 << len(boxes)) - 1
        self._sides = []
        self._cells: list[tuple[int, int, list[int]]] = []
        for d in range(len(boxes[0]) if boxes else 0):
            width = max(b[d].bit_length() for b in boxes)
            if width <= _FEW:
                at = _at([b[d] for b in boxes])
                self._cells.append((d, reduce(or_, at), [_holding(at, cell) for cell in range(width)]))
                continue
            lows = _running([_low(b[d]) for b in boxes])
            highs = _running([-b[d].bit_length() for b in boxes])
            if len(lows[0]) > 1 or len(highs[0]) > 1:
                self._sides.append((d, lows, highs))

    def near(self, box: Box) -> int:
        """The boxes that may meet it."""
        found = self._all
        for d, (lows, low_sets), (highs, high_sets) in self._sides:
            mask = box[d]
            if (up_to := bisect_right(lows, mask.bit_length() - 1)) < len(lows):
                found &= low_sets[up_to]
            if (down_to := bisect_left(highs, -_low(mask))) < len(highs):
                found &= high_sets[down_to]
        for d, used, sets in self._cells:
            if (here := box[d] & used) != used:  # where they are all cells that a box has, each box meets them
                there = 0
                for cell in positions(here):
                    there |= sets[cell]
                found &= there
        return found


def positions(bits: int) -> Iterator[int]:
    """The positions of the bits that are set, lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def runs(bits: int) -> Iterator[tuple[int, int]]:
    """First and last position of each run of bits that are set, lowest first."""
    at = 0
    while bits:
        skip = (bits & -bits).bit_length() - 1
        bits >>= skip
        length = (~bits & bits + 1).bit_length() - 1
        bits >>= length
        yield at + skip, at + skip + length - 1
        at += skip + length


def _at(keys: Iterable[int]) -> dict[int, int]:
    """For each key the positions where it stands, as a bit set."""
    at: dict[int, int] = {}
    for i, key in enumerate(keys):
        at[key] = at.get(key, 0) | 1 << i
    return at


def _holding(at: Mapping[int, int], cell: int) -> int:
    """The positions of the masks that have the cell."""
    return reduce(or_, (bits for mask, bits in at.items() if mask >> cell & 1), 0)


def _running(keys: list[int]) -> tuple[list[int], list[int]]:
    """The distinct keys in order, and for each count of them the boxes whose key is among so many."""
    at = _at(keys)
    distinct, sets = sorted(at), [0]
    for key in distinct:
        sets.append(sets[-1] | at[key])
    return distinct, sets


def _low(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
