"""A set of packets as a box, and what a condition came to, in; the parts of it that fulfil it, and the others, out.

A box has of each field some of its values, a bit each. Interface and source together are one field, who sends, and
interface and destination another: that each endpoint has its own address is one mask, and not a box for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FIELDS = ("sender", "receiver", "protocol", "sport", "dport", "icmp", "first", "last")
"""sender: iif and source; receiver: oif and destination; first, last: the ends of the flow that an error is about."""
PLACES = {
    **{name: n for n, name in enumerate(FIELDS)},
    "iif": 0,
    "source": 0,
    "oif": 1,
    "destination": 1,
}
"""The field of a box that a field of a packet is in."""
Masks = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """assumed: conditions that can't be decided, by their words, and whether they hold."""

    masks: Masks
    assumed: frozenset[tuple[str, bool]] = frozenset()

    def having(self, place: int, mask: int) -> Box:
        """The part with these values of a field."""
        return Box((*self.masks[:place], mask, *self.masks[place + 1 :]), self.assumed)

    def within(self, **masks: int) -> Box:
        """The part with these values, by names of fields of a box or of a packet; perhaps none."""
        found = list(self.masks)
        for name, mask in masks.items():
            found[PLACES[name]] &= mask
        return Box(tuple(found), self.assumed)


@dataclass(frozen=True)
class Field:
    """What a condition came to: the fields of a box that it asks for, at most two.

    fits: pairs of values of the first one and those of the last one with which they fulfil it; of one field alone the
    first is 0. unknown: of one field alone the values of which it can't be said.
    """

    places: tuple[int, ...]
    fits: tuple[tuple[int, int], ...]
    unknown: int = 0


def parts(found: Field, box: Box, assumption: str) -> Iterator[tuple[bool, Box]]:
    """Each part with whether it fulfils the condition. assumption: its words, for what can't be decided."""
    if not found.places:
        yield bool(found.fits[0][1]), box
        return
    inner = found.places[-1]
    unknown = box.masks[inner] & found.unknown
    if unknown:
        yield from assumed(box.having(inner, unknown), assumption)
        box = box.having(inner, box.masks[inner] & ~unknown)
        if not box.masks[inner]:
            return
    if len(found.places) == 1:
        yield from _halves(box, inner, box.masks[inner] & found.fits[0][1])
        return
    outer = found.places[0]
    same: dict[int, int] = {}
    for values, fits in found.fits:
        here = box.masks[outer] & values
        if here:
            part = fits & box.masks[inner]
            same[part] = same.get(part, 0) | here
    for part, mask in same.items():
        yield from _halves(box.having(outer, mask), inner, part)


def assumed(box: Box, words: str) -> Iterator[tuple[bool, Box]]:
    """Both, where it can't be decided and nothing was assumed before."""
    for held in (True, False):
        if (words, not held) not in box.assumed:
            yield held, Box(box.masks, box.assumed | {(words, held)})


def _halves(box: Box, place: int, mask: int) -> Iterator[tuple[bool, Box]]:
    left = box.masks[place] & ~mask
    if mask:
        yield True, box.having(place, mask)
    if left:
        yield False, box.having(place, left)


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from below."""
    for n, bit in enumerate(reversed(f"{mask:b}")):
        if bit == "1":
            yield n
