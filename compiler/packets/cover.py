"""A box and the boxes before or behind it in, what is left of it, and what decides it, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.space import Box, meet, without


def pieces_left(
    box: Box, blockers: Sequence[int], boxes: Sequence[Box], budget: Budget, used: set[int]
) -> Iterator[Box]:
    """Disjoint pieces of box that none of the blockers (positions in boxes) meets; used gets those that took some."""
    pending = [(box, list(blockers))]
    while pending:
        piece, candidates = pending.pop()
        budget.spend()
        met = [(i, common) for i in candidates if (common := meet(piece, boxes[i])) is not None]
        if not met:
            yield piece
            continue
        biggest = max(met, key=lambda m: [_share(x, y) for x, y in zip(m[1], piece, strict=True)].count(1.0))[0]
        for i, common in met:
            if common == piece:
                biggest = i
                break
        used.add(biggest)
        rest = [i for i, _ in met if i != biggest]
        pending += [(p, rest) for p in without(piece, boxes[biggest])]


def _share(part: int, whole: int) -> float:
    return 1.0 if part == whole else 0.0


def another_fate(
    box: Box, later: Sequence[int], boxes: Sequence[Box], same: Sequence[bool], budget: Budget
) -> Box | None:
    """A piece of box whose first match among later (positions in order) is not the same; None where all is.

    same[i] says whether box i decides as wanted; same[-1] is what becomes of packets that nothing matches.
    """
    pending = [(box, 0)]
    while pending:
        piece, start = pending.pop()
        budget.spend()
        for n in range(start, len(later)):
            common = meet(piece, boxes[later[n]])
            if common is None:
                continue
            if not same[later[n]]:
                return common
            pending += [(p, n + 1) for p in without(piece, boxes[later[n]])]
            break
        else:
            if not same[-1]:
                return piece
    return None
