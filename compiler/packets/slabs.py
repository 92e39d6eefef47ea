"""Two first-match lists of boxes in, a box that they decide differently out: exact, by masks of one dimension.

A slab is what no box cuts in any dimension but one. In it a first-match list is arithmetic with masks: what a rule
decides is its mask without what was decided before. So ten thousand nets of a port are ten thousand steps, where
comparing boxes one with another takes many for each.

Slabs that lie side by side in a second dimension (port by port) are a group. A box through all of a group is looked at
once: in each slab those that are not in all of them only take their part away. Where many boxes go through the same few
slabs (what holds for any port, in a class of ports) these slabs are a block: they are groups of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from operator import or_

from calico_rkt.compiler.ir.model import Action
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.index import positions
from calico_rkt.compiler.packets.space import Box

Step = tuple[Action, tuple[Box, ...]]
"""A rule that is no Log, and the packets that it matches."""
Matters = Callable[[Action | None, Action | None], bool]
"""Whether it is a difference that one list does the one with a packet and the other the other; None: leaves it."""

_Part = tuple[Action, int, int]
"""A box in a group: its action, and its masks of the dimension along the slabs and of the one across them."""
_Fates = Mapping[Action | None, int]
"""What a list allows, denies, and leaves to what comes next, along a slab."""

_AT_LEAST, _A_BOX = 200_000, 100
"""So many steps, and so many more for each box, are taken; where it would be more, boxes are compared."""
_FEW = 24
"""So many masks are cut into what none of them tells apart; where there are more, the cells stand for it."""
_MOST_BLOCKS = 64
"""So many masks are looked at for what many boxes go through."""


class TooManyError(Exception):
    """The boxes lie across too many slabs: comparing them one with another takes less."""


def differing(a: Sequence[Step], b: Sequence[Step], matters: Matters, budget: Budget) -> Box | None:
    """A box whose packets the lists decide differently, None where there is none. Raises TooManyError."""
    boxes = [box for steps in (a, b) for _, found in steps for box in found]
    if not boxes:
        return None
    masks = [{box[d] for box in boxes} for d in range(len(boxes[0]))]
    along, *others = sorted(range(len(masks)), key=lambda d: -len(masks[d]))
    parts = [{0: (0,)} if d == along else _parts(found) for d, found in enumerate(masks)]
    across = _across(boxes, masks, parts, along, others)
    blocks = _blocks(Counter(box[across] for box in boxes))
    parts[across] = {mask: tuple(block for block in blocks if block & mask) for mask in masks[across]}
    known: dict[Box, list[Box]] = {}
    groups: dict[Box, tuple[list[_Part], list[_Part]]] = {}
    for n, steps in enumerate((a, b)):
        for action, found in steps:
            for box in found:
                rest = tuple(0 if d == along else mask for d, mask in enumerate(box))
                if rest not in known:
                    known[rest] = list(product(*(p[mask] for p, mask in zip(parts, rest, strict=True))))
                for group in known[rest]:
                    groups.setdefault(group, ([], []))[n].append((action, box[along], box[across] & group[across]))
    for group, lists in groups.items():
        budget.spend(1 + len(lists[0]) + len(lists[1]))
        if (where := _in_a_group(*lists, matters)) is not None:
            at = {along: where[0], across: where[1]}
            return tuple(at.get(d, mask) for d, mask in enumerate(group))
    return None


def _across(
    boxes: Sequence[Box],
    masks: Sequence[set[int]],
    parts: Sequence[Mapping[int, tuple[int, ...]]],
    along: int,
    others: Sequence[int],
) -> int:
    """The dimension in which slabs lie side by side: the first of others that takes few steps. Raises TooManyError."""
    most = _AT_LEAST + _A_BOX * len(boxes)
    sizes = [{mask: len(found) for mask, found in of.items()} for of in parts]
    for across in others:
        blocks = _blocks(Counter(box[across] for box in boxes))
        beside = {mask: sum(_steps(mask, block) for block in blocks) for mask in masks[across]}
        counted = [
            beside if d == across else dict.fromkeys(masks[d], 1) if d == along else s for d, s in enumerate(sizes)
        ]
        if sum(prod(of[mask] for of, mask in zip(counted, box, strict=True)) for box in boxes) <= most:
            return across
    raise TooManyError


def _steps(mask: int, block: int) -> int:
    """How often a box is looked at in a block: once where it goes through all of it."""
    common = mask & block
    return 1 if common == block else common.bit_count()


def _blocks(counts: Counter[int]) -> list[int]:
    """Disjoint masks of all slabs, as few as go: what many boxes go through is one, or several where it overlaps."""
    whole = reduce(or_, counts)
    blocks = [whole]
    for mask, count in counts.most_common(_MOST_BLOCKS):
        if count * (mask.bit_count() - 1) > counts[whole]:
            blocks = [part for block in blocks for part in (block & mask, block & ~mask) if part]
    return blocks


def _in_a_group(a: Sequence[_Part], b: Sequence[_Part], matters: Matters) -> tuple[int, int] | None:
    """Masks along and across of what the lists decide differently; None where there is nothing."""
    whole = reduce(or_, (across for _, _, across in (*a, *b)))
    lists = _Cut.of(a, whole), _Cut.of(b, whole)
    slabs = lists[0].slabs.keys() | lists[1].slabs.keys()
    for slab in slabs:
        if found := _differing(lists[0].fates(slab), lists[1].fates(slab), matters):
            return found, slab
    others = whole & ~sum(slabs)
    if others and (found := _differing(lists[0].through, lists[1].through, matters)):
        return found, others
    return None


@dataclass(frozen=True, slots=True)
class _Cut:
    """A list in a group: what boxes through all slabs decide, and the others by slab, each with what is left to it."""

    through: _Fates
    slabs: Mapping[int, Sequence[tuple[Action, int]]]

    @classmethod
    def of(cls, found: Iterable[_Part], whole: int) -> _Cut:
        fates: dict[Action | None, int] = {Action.ALLOW: 0, Action.DENY: 0}
        slabs: dict[int, list[tuple[Action, int]]] = {}
        left = -1
        for action, along, across in found:
            mine = along & left
            if across != whole:
                for cell in positions(across) if mine else ():
                    slabs.setdefault(1 << cell, []).append((action, mine))
            elif mine:
                fates[action] |= mine
                left ^= mine
        return cls({**fates, None: left}, slabs)

    def fates(self, slab: int) -> _Fates:
        """What the list decides in one slab."""
        taken = 0
        found: dict[Action | None, int] = {Action.ALLOW: 0, Action.DENY: 0}
        for action, mask in self.slabs.get(slab, ()):
            found[action] |= mask & ~taken
            taken |= mask
        return {fate: found.get(fate, 0) | mask & ~taken for fate, mask in self.through.items()}


def _parts(masks: set[int]) -> Mapping[int, tuple[int, ...]]:
    """Each mask as the disjoint masks that it is made of: those of any two are the same, or have nothing in common."""
    if len(masks) > _FEW:
        return {mask: tuple(1 << cell for cell in positions(mask)) for mask in masks}
    parts: list[int] = []
    for mask in masks:
        left = mask
        for part in list(parts):
            if (common := part & left) and common != part:
                parts[parts.index(part)] = common
                parts.append(part & ~common)
            left &= ~part
        parts += [left] if left else []
    return {mask: tuple(part for part in parts if part & mask) for mask in masks}


def _differing(a: _Fates, b: _Fates, matters: Matters) -> int:
    """The cells whose packets the lists treat differently."""
    return next(
        (common for by_a, m in a.items() for by_b, n in b.items() if matters(by_a, by_b) and (common := m & n)), 0
    )
