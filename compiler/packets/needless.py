"""A first-match list in, the rules out that decide nothing in it, whoever the ends are; each with what covers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.space import Box, Space
from calico_rkt.compiler.packets.subtract import first_among, narrowed, pieces_left

_STEPS = 20_000
"""So many steps one rule may cost; it is kept where that is not enough."""


def needless(space: Space, rules: Sequence[Rule], budget: Budget) -> Mapping[int, tuple[int, ...]]:
    """The positions of rules without which each packet has the fate that it had, and of those that cover them.

    A fate is to be allowed, to be denied, or to be left to what comes behind the list. All that are found may be left
    out together: none of them covers another. One that no packet can match is covered by nothing. rules hold no Log,
    and space was made of them; where it knows no networks, an end may have any labels.
    """
    lists = _List(space, rules)
    covers: dict[int, tuple[int, ...]] = {}
    for question in (lists.before, lists.behind):
        for n in range(len(rules)):
            if n in covers:
                continue
            try:
                found = question(n, Budget(_STEPS, budget))
            except UndecidedError:
                continue
            if found is not None:
                covers[n] = tuple(sorted(found))
                lists.take_out(n)
    return {n: _kept(found, covers) for n, found in sorted(covers.items())}


def _kept(found: Sequence[int], covers: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """What covers a rule where some of that was left out later: by what covers these."""
    out: set[int] = set()
    todo = list(found)
    while todo:
        n = todo.pop()
        if n in covers:
            todo += covers[n]
        else:
            out.add(n)
    return tuple(sorted(out))


class _List:
    """The list as boxes; first[n] is the first of rule n's, present are those of the rules that were not taken out."""

    def __init__(self, space: Space, rules: Sequence[Rule]) -> None:
        self.boxes: list[Box] = []
        self.owner: list[int] = []
        self.first: list[int] = []
        self.actions: list[Action] = [rule.action for rule in rules]
        for n, rule in enumerate(rules):
            self.first.append(len(self.boxes))
            found = space.boxes(rule)
            self.boxes += found
            self.owner += [n] * len(found)
        self.first.append(len(self.boxes))
        self.index = Index(self.boxes)
        self.present = (1 << len(self.boxes)) - 1

    def take_out(self, n: int) -> None:
        """As if rule n were not there."""
        self.present &= ~((1 << self.first[n + 1]) - (1 << self.first[n]))

    def before(self, n: int, budget: Budget) -> set[int] | None:
        """The rules before rule n that together match all its packets; None where some are left to it."""
        if next(self._left(n, budget), None) is not None:
            return None
        used: set[int] = set()
        for box, near in self._earlier(n):
            for _ in pieces_left(box, near, self.boxes, budget, used):
                pass
        return {self.owner[i] for i in used}

    def behind(self, n: int, budget: Budget) -> set[int] | None:
        """The rules behind rule n that do what it does with all that is left to it; None where another one does not."""
        used: set[int] = set()
        for piece in self._left(n, budget):
            near = self.index.near(piece) & self.present & (-1 << self.first[n + 1])
            if not self._alike(piece, list(positions(near)), self.actions[n], budget, used):
                return None
        return {self.owner[i] for i in used}

    def _left(self, n: int, budget: Budget) -> Iterator[Box]:
        """What of rule n's packets no rule before it matches, as disjoint boxes."""
        for box, near in self._earlier(n):
            budget.spend(len(near))
            narrow, rest = narrowed(box, near, self.boxes)
            if narrow is not None:
                yield from pieces_left(narrow, rest, self.boxes, budget, set())

    def _earlier(self, n: int) -> Iterator[tuple[Box, list[int]]]:
        """Each of rule n's boxes, and the positions of those before them that may meet it."""
        start = self.first[n]
        for box in self.boxes[start : self.first[n + 1]]:
            yield box, list(positions(self.index.near(box) & self.present & (1 << start) - 1))

    def _alike(self, box: Box, later: Sequence[int], action: Action, budget: Budget, used: set[int]) -> bool:
        """Whether the first of later that match the box's packets have the action, all of them; used gets these."""
        for _, first in first_among(box, later, self.boxes, budget):
            if first is None or self.actions[self.owner[first]] is not action:
                return False
            used.add(first)
        return True
