"""A first-match list and a box in, the box cut by what decides it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calico_rkt.compiler.ir import Action, Rule
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.space import Box, Space, meet, without


class FirstMatch:
    """One direction's rules in a space that was made of these rules and perhaps more."""

    def __init__(self, space: Space, rules: Iterable[Rule]) -> None:
        self._boxes: list[Box] = []
        self._rules: list[Rule] = []
        for rule in rules:
            if rule.action is not Action.LOG:
                found = space.boxes(rule)
                self._boxes += found
                self._rules += [rule] * len(found)
        self._index = Index(self._boxes)

    def fates(self, box: Box, budget: Budget) -> Iterator[tuple[Box, Rule | None]]:
        """Disjoint pieces that make up the box, each with the rule that decides it; None: no rule does, denied."""
        near = list(positions(self._index.near(box)))
        pending = [(box, 0)]
        while pending:
            piece, start = pending.pop()
            budget.spend()
            for n in range(start, len(near)):
                budget.spend()
                other = self._boxes[near[n]]
                common = meet(piece, other)
                if common is not None:
                    yield common, self._rules[near[n]]
                    pending += [(p, n + 1) for p in without(piece, other)]
                    break
            else:
                yield piece, None
