"""Two first-match lists in, a packet that they treat differently out; none where they allow the same packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.first_match import FirstMatch
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.slabs import Matters, Step, TooManyError, differing
from calico_rkt.compiler.packets.space import Box, Space
from calico_rkt.compiler.packets.subtract import pieces_left

_MOST_PAIRS = 4096
"""Pairs of boxes of two steps: so many are looked at for one more step that is alike."""


def told_apart(a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str]) -> Packet | None:
    """A packet that exactly one of the lists allows. Rules must be resolved; network_ids as in label_classes.

    Raises UndecidedError. What both lists say alike at their beginning and end, be it in more rules in one of them,
    is not looked at any further.
    """
    return _first(a, b, network_ids, _allow_apart)


def newly_allowed(old: Sequence[Rule], new: Sequence[Rule], network_ids: frozenset[str]) -> Packet | None:
    """A packet that new allows and old does not; None where new allows nothing more. Otherwise as told_apart."""
    return _first(old, new, network_ids, lambda by_old, by_new: by_new is Action.ALLOW and by_old is not Action.ALLOW)


def decided_apart(
    a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str], budget: Budget | None = None
) -> Packet | None:
    """A packet that one of the lists allows, denies or leaves to what comes behind, and the other does not so.

    Otherwise as told_apart; made for lists of two forms, which say little alike.
    """
    return _by_slabs(a, b, network_ids, _decide_apart, budget)


def allowed_apart(a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str]) -> Packet | None:
    """A packet that exactly one of the lists allows, as told_apart; for lists of two forms, which say little alike."""
    return _by_slabs(a, b, network_ids, _allow_apart)


def _by_slabs(
    a: Sequence[Rule], b: Sequence[Rule], network_ids: frozenset[str], matters: Matters, budget: Budget | None = None
) -> Packet | None:
    if a == b:
        return None
    space = Space((*a, *b), network_ids)
    steps = list(_steps(space, a)), list(_steps(space, b))
    try:
        box = differing(*steps, matters, budget or Budget())
    except TooManyError:
        return _first(a, b, network_ids, matters, budget)
    return None if box is None else example(space, box)


def _allow_apart(by_a: Action | None, by_b: Action | None) -> bool:
    return (by_a is Action.ALLOW) is not (by_b is Action.ALLOW)


def _decide_apart(by_a: Action | None, by_b: Action | None) -> bool:
    return by_a is not by_b


def _first(
    a: Sequence[Rule],
    b: Sequence[Rule],
    network_ids: frozenset[str],
    matters: Matters,
    budget: Budget | None = None,
) -> Packet | None:
    if a == b:
        return None
    space = Space((*a, *b), network_ids)
    steps = list(_steps(space, a)), list(_steps(space, b))
    budget = budget or Budget()
    rest = [one[start:] for one, start in zip(steps, _alike(*steps, budget), strict=True)]
    behind = [one[::-1] for one in rest]
    rest = [one[end:] for one, end in zip(behind, _alike(behind[0], behind[1], budget), strict=True)]
    region = [box for one in rest for _, boxes in one for box in boxes]
    if not region:
        return None
    lists = FirstMatch(space, a), FirstMatch(space, b)
    for box in region:
        for piece, first in lists[0].fates(box, budget):
            for part, second in lists[1].fates(piece, budget):
                if matters(_action(first), _action(second)):
                    return example(space, part)
    return None


def _alike(a: Sequence[Step], b: Sequence[Step], budget: Budget) -> tuple[int, int]:
    """So many steps of each say the same, one by one, or one of them what a run of the other's says.

    Steps of one action that together match what one step matches are that step: a packet that one of the beginnings
    decides the other decides alike, and so for the ends.
    """
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            i, j = i + 1, j + 1
        elif run := _run(a[i], b, j, budget):
            i, j = i + 1, j + run
        elif run := _run(b[j], a, i, budget):
            i, j = i + run, j + 1
        else:
            break
    return i, j


def _run(whole: Step, steps: Sequence[Step], start: int, budget: Budget) -> int:
    """How many steps from start on match together what the whole one matches, with its action; 0 where none do."""
    action, boxes = whole
    left = boxes
    for n in range(start, len(steps)):
        part, found = steps[n]
        if part is not action or len(found) * max(len(boxes), len(left)) > _MOST_PAIRS:
            return 0
        if _without(found, boxes, budget):
            return 0
        left = _without(left, found, budget)
        if not left:
            return n + 1 - start
    return 0


def _without(boxes: tuple[Box, ...], taken: tuple[Box, ...], budget: Budget) -> tuple[Box, ...]:
    """What the boxes have and none of those that are taken."""
    where = range(len(taken))
    return tuple(piece for box in boxes for piece in pieces_left(box, where, taken, budget, set()))


def _steps(space: Space, rules: Sequence[Rule]) -> Iterator[Step]:
    """The lists as a packet meets them: without Log, and without rules that match nothing."""
    for rule in rules:
        if rule.action is not Action.LOG:
            boxes = space.boxes(rule)
            if boxes:
                yield rule.action, boxes


def _action(rule: Rule | None) -> Action | None:
    return None if rule is None else rule.action
