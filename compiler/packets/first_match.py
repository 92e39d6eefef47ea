"""A first-match list and a box in, the box cut by what decides it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.space import Box, Space, meet, without

_LOOKS = 48
"""Boxes in vain, after which the index is asked again about what is left of a box: it costs as much as so many."""


class FirstMatch:
    """One direction's rules in a space that was made of these rules and perhaps more."""

    def __init__(self, space: Space, rules: Iterable[Rule]) -> None:
        boxes: list[Box] = []
        self._rules: list[Rule] = []
        for rule in rules:
            if rule.action is not Action.LOG:
                found = space.boxes(rule)
                boxes += found
                self._rules += [rule] * len(found)
        self._index = Index(boxes)

    def fates(self, box: Box, budget: Budget) -> Iterator[tuple[Box, Rule | None]]:
        """Disjoint pieces that make up the box, each with the rule that decides it; None: no rule does, denied."""
        for piece, first in first_of(box, self._index, budget):
            yield piece, None if first is None else self._rules[first]


def first_of(box: Box, index: Index, budget: Budget) -> Iterator[tuple[Box, int | None]]:
    """Disjoint pieces that make up the box, each with the first of the index's boxes that holds it; None: none does."""
    boxes = index.boxes
    pending = [(box, list(positions(index.near(box))), 0)]
    while pending:
        piece, near, start = pending.pop()
        asked = start + _LOOKS
        n = start
        looks = 1
        while n < len(near):
            looks += 1
            other = boxes[near[n]]
            common = meet(piece, other)
            n += 1
            if common is not None:
                budget.spend(looks)
                yield common, near[n - 1]
                pending += [(p, near, n) for p in without(piece, other)]
                break
            if n == asked and len(near) - n > _LOOKS:
                near, n, asked = list(positions(index.near(piece) & (-1 << near[n]))), 0, -1
        else:
            budget.spend(looks)
            yield piece, None
