"""A box and the boxes before or behind it in, what is left of it, and what decides it, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.space import (
    DESTINATION,
    DPORT,
    FROM,
    ICMP_CODE,
    ICMP_TYPE,
    PROTOCOL,
    SOURCE,
    SPORT,
    TO,
    Box,
    meet,
    without,
)

_NARROW_FIRST = (PROTOCOL, DPORT, FROM, TO, SPORT, ICMP_TYPE, ICMP_CODE, SOURCE, DESTINATION)
"""Addresses have the longest masks, so they are looked at last."""


def pieces_left(
    box: Box, blockers: Sequence[int], boxes: Sequence[Box], budget: Budget, used: set[int]
) -> Iterator[Box]:
    """Disjoint pieces of box that none of the blockers (positions in boxes) meets; used gets those that took some."""
    pending = [(box, list(blockers))]
    while pending:
        piece, candidates = pending.pop()
        budget.spend(1 + len(candidates))
        met, biggest, most = [], -1, 0
        a0, a1, a2, a3, a4, a5, a6, a7, a8 = piece
        for i in candidates:
            # As meet() does it, without a call and a box for each: most of an analysis is spent here.
            b0, b1, b2, b3, b4, b5, b6, b7, b8 = boxes[i]
            if not (
                (c0 := a0 & b0)
                and (c1 := a1 & b1)
                and (c2 := a2 & b2)
                and (c3 := a3 & b3)
                and (c4 := a4 & b4)
                and (c5 := a5 & b5)
                and (c6 := a6 & b6)
                and (c7 := a7 & b7)
                and (c8 := a8 & b8)
            ):
                continue
            met.append(i)
            whole = 1 + (c0 == a0) + (c1 == a1) + (c2 == a2) + (c3 == a3) + (c4 == a4)
            whole += (c5 == a5) + (c6 == a6) + (c7 == a7) + (c8 == a8)
            if whole > most:
                biggest, most = i, whole
                if most > len(piece):
                    break  # it takes all of the piece
        if not met:
            yield piece
            continue
        used.add(biggest)
        if most <= len(piece):
            met.remove(biggest)
            pending += [(p, met) for p in without(piece, boxes[biggest])]


def narrowed(box: Box, blockers: Sequence[int], boxes: Sequence[Box]) -> tuple[Box | None, list[int]]:
    """The box without what blockers take that hold all of it but in one dimension, and the blockers that are left.

    None where nothing is left. It stays one box, however many there are: pieces_left would look at each pair of them.
    """
    rest: list[int] = []
    for i in blockers:
        other, partial = boxes[i], -1
        for d in _NARROW_FIRST:
            mine = box[d]
            common = mine & other[d]
            if not common:
                break
            if common != mine:
                partial = len(box) if partial >= 0 else d
        else:
            if partial < 0:
                return None, []
            if partial < len(box):
                box = (*box[:partial], box[partial] & ~other[partial], *box[partial + 1 :])
            else:
                rest.append(i)
    return box, rest


def first_among(
    box: Box, later: Sequence[int], boxes: Sequence[Box], budget: Budget
) -> Iterator[tuple[Box, int | None]]:
    """Disjoint pieces that make up box, each with the first of later (positions in order) that holds it; None: none."""
    pending = [(box, 0)]
    while pending:
        piece, start = pending.pop()
        budget.spend()
        for n in range(start, len(later)):
            budget.spend()
            common = meet(piece, boxes[later[n]])
            if common is not None:
                yield common, later[n]
                pending += [(p, n + 1) for p in without(piece, boxes[later[n]])]
                break
        else:
            yield piece, None


def another_fate(
    box: Box, wanted: bool, later: Sequence[int], boxes: Sequence[Box], allows: Sequence[bool], budget: Budget
) -> Box | None:
    """A piece of box that later (positions in order) allow and wanted does not, or the reverse; None where all agree.

    allows[i] says whether box i allows what it matches first; what none matches is denied.
    """
    for piece, first in first_among(box, later, boxes, budget):
        if (first is not None and allows[first]) is not wanted:
            return piece
    return None
