"""Two first-match lists in, a packet that they treat differently out; none where they allow the same packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from calico_rkt.compiler.evaluate import Packet
from calico_rkt.compiler.ir import Action, Rule
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.fates import FirstMatch
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.space import Box, Space

_Step = tuple[Action, tuple[Box, ...]]


def told_apart(a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str]) -> Packet | None:
    """A packet that exactly one of the lists allows. Rules must be resolved; network_ids as in label_classes.

    Raises UndecidedError. What both lists say alike at their beginning and end is not looked at any further.
    """
    return _first(a, b, network_ids, lambda by_a, by_b: by_a is not by_b)


def newly_allowed(old: Sequence[Rule], new: Sequence[Rule], network_ids: frozenset[str]) -> Packet | None:
    """A packet that new allows and old does not; None where new allows nothing more. Otherwise as told_apart."""
    return _first(old, new, network_ids, lambda by_old, by_new: by_new and not by_old)


def _first(
    a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str], matters: Callable[[bool, bool], bool]
) -> Packet | None:
    if a == b:
        return None
    space = Space((*a, *b), network_ids)
    steps = list(_steps(space, a)), list(_steps(space, b))
    least = min(map(len, steps))
    start = end = 0
    while start < least and steps[0][start] == steps[1][start]:
        start += 1
    while end < least - start and steps[0][-1 - end] == steps[1][-1 - end]:
        end += 1
    region = [box for one in steps for _, boxes in one[start : len(one) - end] for box in boxes]
    if not region:
        return None
    lists = FirstMatch(space, a), FirstMatch(space, b)
    budget = Budget()
    for box in region:
        for piece, first in lists[0].fates(box, budget):
            for part, second in lists[1].fates(piece, budget):
                if matters(_allows(first), _allows(second)):
                    return example(space, part)
    return None


def _steps(space: Space, rules: Sequence[Rule]) -> Iterator[_Step]:
    """The lists as a packet meets them: without Log, and without rules that match nothing."""
    for rule in rules:
        if rule.action is not Action.LOG:
            boxes = space.boxes(rule)
            if boxes:
                yield rule.action, boxes


def _allows(rule: Rule | None) -> bool:
    return rule is not None and rule.action is Action.ALLOW
