"""A question to packets and all packets in; which of them it holds for, field by field, out.

It is asked of packets that have the values in question. Of a set of pairs, such as interfaces with addresses, those
that are in it are asked for, and one that is not: any other misses the set as that one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from calico_rkt.plugin.attest.boxes import PLACES, Field, bits
from calico_rkt.plugin.attest.layout import Layout
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.ruleset import Set

_MOST_ASKED = 100_000
_ENDS = ("iif", "oif", "iifname", "oifname", "saddr", "daddr", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr")


@dataclass(frozen=True)
class Question:
    """names: the fields that it asks for; None where it asks for more than is known.

    holds: None where it can't be said. pairs: the texts of two fields by which alone it may be told from one that
    misses; None where any pair may be different.
    """

    names: tuple[str, ...] | None
    holds: Callable[[Packet], bool | None]
    pairs: frozenset[tuple[str, ...]] | None = None


def field_of(layout: Layout, question: Question) -> Field | None:
    """None where it can't be said of single values."""
    names = question.names
    if names is None or len(names) > 2:
        return None
    places = tuple(dict.fromkeys(PLACES[n] for n in names))
    if not places:
        held = question.holds(layout.packet({}))
        return None if held is None else Field((), ((0, int(held)),))
    if len(names) == 1:
        fit, unknown = (
            layout.lifted(names[0], mask) for mask in _masks(layout, question, product(layout.values[names[0]]))
        )
        return Field(places, ((0, fit),), unknown)
    outer, inner = (len(layout.values[n]) for n in names)
    if question.pairs is None and outer * inner > _MOST_ASKED:
        return None
    rows = list(_rows(layout, question, names))
    if len(places) == 1:
        return _of_one(layout, names, places, rows)
    found: dict[int, int] = {}
    for at, (fit, unknown) in enumerate(rows):
        if unknown:
            return None
        found[fit] = found.get(fit, 0) | 1 << at
    return Field(places, tuple((layout.lifted(names[0], o), layout.lifted(names[1], i)) for i, o in found.items()))


def pairs_of(match: Mapping[str, Any], sets: Mapping[str, Set]) -> frozenset[tuple[str, ...]] | None:
    """The pairs of a named set that a condition on two ends looks into, where it holds no ranges."""
    right, left = match["right"], match["left"]
    known = sets.get(right.removeprefix("@")) if isinstance(right, str) and right.startswith("@") else None
    if known is None or known.wide or set(left) != {"concat"} or len(left["concat"]) != 2:
        return None
    for part in left["concat"]:
        ((_, what),) = part.items()
        if not isinstance(what, dict) or (what.get("field") or what.get("key")) not in _ENDS:
            return None
    return frozenset(tuple(key.split(" . ")) for key in known.elements)


def _of_one(layout: Layout, names: Sequence[str], places: tuple[int, ...], rows: Sequence[tuple[int, int]]) -> Field:
    """An interface and its address: one field of a box, in which the interface counts more."""
    width = len(layout.values["source"])
    if names[0] in ("iif", "oif"):
        fit, unknown = (sum(row[k] << n * width for n, row in enumerate(rows)) for k in (0, 1))
    else:
        fit, unknown = (sum(1 << n * width + at for at, row in enumerate(rows) for n in bits(row[k])) for k in (0, 1))
    return Field(places, ((0, fit),), unknown)


def _rows(layout: Layout, question: Question, names: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """By each value of the first field the values of the second that fit, and those of which it is not known."""
    outer, inner = (layout.values[n] for n in names)
    if question.pairs is None:
        yield from (_masks(layout, question, ((one, other) for other in inner)) for one in outer)
        return
    texts = {str(value): n for n, value in enumerate(inner)}
    within: dict[str, set[int]] = {}
    for first, *rest in question.pairs:
        if len(rest) == 1 and rest[0] in texts:
            within.setdefault(first, set()).add(texts[rest[0]])
    missed: tuple[bool | None] | None = None
    every = (1 << len(inner)) - 1
    for one in outer:
        mine = within.get(str(one), set())
        fit = unknown = 0
        for n in mine:
            held = question.holds(layout.packet({names[0]: one, names[1]: inner[n]}))
            fit |= int(held is True) << n
            unknown |= int(held is None) << n
        others = every & ~sum(1 << n for n in mine)
        if others:
            if missed is None:
                n = (others & -others).bit_length() - 1
                missed = (question.holds(layout.packet({names[0]: one, names[1]: inner[n]})),)
            fit |= others if missed[0] else 0
            unknown |= others if missed[0] is None else 0
        yield fit, unknown


def _masks(layout: Layout, question: Question, several: Iterator[tuple[Any, ...]]) -> tuple[int, int]:
    """Of values in order those that fit, and those of which it is not known."""
    fit = unknown = 0
    for n, values in enumerate(several):
        held = question.holds(layout.packet(dict(zip(question.names or (), values, strict=True))))
        fit |= int(held is True) << n
        unknown |= int(held is None) << n
    return fit, unknown
