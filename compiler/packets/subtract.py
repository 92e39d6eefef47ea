"""A box and the boxes before or behind it in, what is left of it, and what decides it, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import eq

from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.space import Box, meet, without


def pieces_left(
    box: Box, blockers: Sequence[int], boxes: Sequence[Box], budget: Budget, used: set[int]
) -> Iterator[Box]:
    """Disjoint pieces of box that none of the blockers (positions in boxes) meets; used gets those that took some."""
    pending = [(box, list(blockers))]
    while pending:
        piece, candidates = pending.pop()
        budget.spend(1 + len(candidates))
        met = [(i, common) for i in candidates if (common := meet(piece, boxes[i])) is not None]
        if not met:
            yield piece
            continue
        biggest, _ = max(met, key=lambda m: sum(map(eq, m[1], piece)))
        used.add(biggest)
        rest = [i for i, _ in met if i != biggest]
        pending += [(p, rest) for p in without(piece, boxes[biggest])]


def another_fate(
    box: Box, wanted: bool, later: Sequence[int], boxes: Sequence[Box], allows: Sequence[bool], budget: Budget
) -> Box | None:
    """A piece of box that later (positions in order) allow and wanted does not, or the reverse; None where all agree.

    allows[i] says whether box i allows what it matches first; what none matches is denied.
    """
    pending = [(box, 0)]
    while pending:
        piece, start = pending.pop()
        budget.spend()
        for n in range(start, len(later)):
            budget.spend()
            common = meet(piece, boxes[later[n]])
            if common is None:
                continue
            if allows[later[n]] is not wanted:
                return common
            pending += [(p, n + 1) for p in without(piece, boxes[later[n]])]
            break
        else:
            if wanted:
                return piece
    return None
