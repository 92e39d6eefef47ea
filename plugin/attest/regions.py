"""Conditions and a set of packets in; those of them that fulfil it, and those that do not, out: nothing is left open.

A set of packets is a box: of each field some of its values (values.py), a bit each, and what is assumed of conditions
that can't be decided (a mark that others set, a limit). Whether a value fulfils a condition is asked of conditions.py,
by packets that have it: there is one meaning of conditions, and not a second one here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMPV6, Icmp
from calico_rkt.plugin.attest import conditions
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import Set
from calico_rkt.plugin.attest.values import Values

FIELDS = ("iif", "oif", "source", "destination", "protocol", "sport", "dport", "icmp", "first", "last")
"""first and last: the ends of the flow that an error is about."""
_MOST_ASKED = 100_000
_AT = {name: n for n, name in enumerate(FIELDS)}
Masks = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """assumed: conditions that can't be decided, by their words, and whether they hold."""

    masks: Masks
    assumed: frozenset[tuple[str, bool]] = frozenset()

    def having(self, place: int, mask: int) -> Box:
        """The part with these values of a field."""
        return replace(self, masks=(*self.masks[:place], mask, *self.masks[place + 1 :]))


@dataclass(frozen=True)
class Field:
    """A condition's fields by their place, and by the first one's values which of the second one's fulfil it.

    unknown: of one field alone the values of which it can't be said.
    """

    places: tuple[int, ...]
    fits: tuple[int, ...]
    unknown: int = 0


class Space:
    """All packets of one kind and family; hosts: who is one's own source of packets (no interface to come in by)."""

    def __init__(
        self,
        values: Values,
        wanted: Wanted,
        kind: Kind,
        version: int,
        sets: Mapping[str, Mapping[str, Set]],
        known: dict[object, Field | None],
        groups: Mapping[str, int],
    ) -> None:
        """known: what conditions that ask nothing of conntrack came to, for all kinds of packets.

        groups: the device groups of interfaces.
        """
        self.wanted, self.kind, self.version, self.sets, self.groups = wanted, kind, version, sets, groups
        names: tuple[str, ...] = ("", *values.names)
        icmp = values.icmp
        self.values: tuple[tuple[Any, ...], ...] = (
            names,
            names,
            values.addresses,
            values.addresses,
            values.protocols,
            values.ports,
            values.ports,
            icmp,
            values.addresses,
            values.addresses,
        )
        self._known, self._of_all = dict[object, Field | None](), known
        self._ones: dict[str, bool] = {}
        self._asked: dict[tuple[str, int, str], tuple[tuple[str, ...] | None, str]] = {}

    @cached_property
    def all(self) -> Masks:
        return tuple((1 << len(v)) - 1 for v in self.values)

    def mask(self, field: str, fits: Callable[[Any], bool]) -> int:
        """The values of a field that are wanted."""
        return sum(1 << n for n, value in enumerate(self.values[_AT[field]]) if fits(value))

    def those(self, field: str, wanted: Collection[Any]) -> int:
        """The values of a field that are among these."""
        return self.mask(field, lambda value: value in wanted)

    def packet(self, chosen: Mapping[str, Any]) -> Packet:
        """One of the packets; fields that are not chosen have their first value."""
        at = {name: chosen.get(name, self.values[n][0]) for n, name in enumerate(FIELDS)}
        source, destination = at["source"], at["destination"]
        flow: tuple[Address, Address] | None = None
        if self.kind is Kind.REPLY:
            flow = destination, source
        elif self.kind is Kind.ERROR:
            flow = at["first"], at["last"]
        icmp: Icmp | None = at["icmp"] if at["protocol"] in (1, ICMPV6) else None
        mark = 0 if self.wanted.unmarked and at["iif"] not in ("", "lo") else None
        return Packet(
            self.kind,
            source,
            destination,
            at["protocol"],
            at["iif"],
            at["oif"],
            at["sport"],
            at["dport"],
            icmp,
            flow,
            self.routed(source),
            mark,
            (self.groups.get(at["iif"]), self.groups.get(at["oif"])),
        )

    def routed(self, source: Address) -> bool:
        return source in self.wanted.by_address or not self.wanted.in_range(source)

    def is_one(self, name: str) -> bool:
        """Whether a set has the same in all tables."""
        if name not in self._ones:
            found = [table[name].elements if name in table else None for table in self.sets.values()]
            self._ones[name] = all(elements == found[0] for elements in found)
        return self._ones[name]

    def split(
        self, table: str, match: Mapping[str, Any], hook: str, chain: str, box: Box
    ) -> Iterator[tuple[bool, Box]]:
        """The parts of a box that fulfil nft's condition, and those that don't. table: whose sets it looks into.

        chain: where it is asked. What can't be decided is one thing for both tables in one place, of one set.
        """
        place = table, id(match), hook
        if place not in self._asked:
            right = match["right"]
            own = "" if not isinstance(right, str) or self.is_one(right.removeprefix("@")) else table
            words = f"{own}|{hook}|{chain}|{json.dumps(match, sort_keys=True)}"
            self._asked[place] = self.fields(match["left"], hook), words
        names, words = self._asked[place]
        sets = self.sets[table]
        by_flow = '"ct"' in words
        return self.split_by(place, names, lambda p: conditions.holds(match, p, sets, hook), box, words, by_flow)

    def split_by(
        self,
        place: object,
        names: tuple[str, ...] | None,
        holds: Callable[[Packet], bool | None],
        box: Box,
        assumption: str,
        by_flow: bool = False,
    ) -> Iterator[tuple[bool, Box]]:
        """The same by any question that only asks for these fields. place: what it is kept by."""
        if names is None or len(names) > 2:
            return assumed(box, assumption)
        kept = self._known if by_flow else self._of_all
        if place not in kept:
            kept[place] = self._field(names, holds)
        found = kept[place]
        if found is None:
            return assumed(box, assumption)
        return _parts(found, box, assumption)

    def _field(self, names: tuple[str, ...], holds: Callable[[Packet], bool | None]) -> Field | None:
        places = tuple(_AT[n] for n in names)
        if not places:
            held = holds(self.packet({}))
            return None if held is None else Field((), (int(held),))
        outer = self.values[places[0]] if len(places) > 1 else (None,)
        if len(outer) * len(self.values[places[-1]]) > _MOST_ASKED:
            return None
        fits, unknown = [], 0
        for one in outer:
            mask = 0
            for n, value in enumerate(self.values[places[-1]]):
                chosen = {names[-1]: value} if one is None else {names[0]: one, names[-1]: value}
                held = holds(self.packet(chosen))
                if held is None and one is not None:
                    return None
                unknown |= int(held is None) << n
                mask |= int(held is True) << n
            fits.append(mask)
        return Field(places, tuple(fits), unknown)

    def fields(self, left: Any, hook: str) -> tuple[str, ...] | None:  # noqa: ANN401 - nft's JSON
        """The fields that a condition asks for; None where it asks for more than is here."""
        if not isinstance(left, dict) or len(left) != 1:
            return None
        ((kind, what),) = left.items()
        if kind == "concat":
            parts = [self.fields(part, hook) for part in what]
            if None in parts:
                return None
            return tuple(dict.fromkeys(n for p in parts for n in p or ()))
        key = what.get("field") or what.get("key", "") if isinstance(what, dict) else ""
        if kind == "payload":
            return _PAYLOAD.get(key)
        if kind == "meta":
            return _META.get(key)
        if kind == "fib":
            known = self.version in self.wanted.guarded and self.version in self.wanted.way_out
            return ("source",) if known else None
        if kind == "ct" and key == "state":
            return ("protocol", "icmp") if self.version == 6 else ()
        if kind == "ct" and key.endswith("saddr") and hook != "prerouting":
            original = what.get("dir") == "original"
            if self.kind is Kind.ERROR:
                return ("first",) if original else ("last",)
            return ("source",) if original is not (self.kind is Kind.REPLY) else ("destination",)
        return None


_PAYLOAD = {
    "saddr": ("source",),
    "daddr": ("destination",),
    "protocol": ("protocol",),
    "sport": ("protocol", "sport"),
    "dport": ("protocol", "dport"),
    "type": ("protocol", "icmp"),
    "code": ("protocol", "icmp"),
}
_META: dict[str, tuple[str, ...]] = {
    "iif": ("iif",),
    "iifname": ("iif",),
    "iifgroup": ("iif",),
    "oif": ("oif",),
    "oifname": ("oif",),
    "oifgroup": ("oif",),
    "l4proto": ("protocol",),
    "nfproto": (),
    "protocol": (),
    "mark": ("iif",),
}


def assumed(box: Box, words: str) -> Iterator[tuple[bool, Box]]:
    """Both, where it can't be decided and nothing was assumed before."""
    for held in (True, False):
        if (words, not held) not in box.assumed:
            yield held, replace(box, assumed=box.assumed | {(words, held)})


def _parts(found: Field, box: Box, assumption: str) -> Iterator[tuple[bool, Box]]:
    if not found.places:
        yield bool(found.fits[0]), box
        return
    inner = found.places[-1]
    unknown = box.masks[inner] & found.unknown
    if unknown:
        yield from assumed(box.having(inner, unknown), assumption)
        box = box.having(inner, box.masks[inner] & ~unknown)
        if not box.masks[inner]:
            return
    if len(found.places) == 1:
        yield from _halves(box, inner, box.masks[inner] & found.fits[0])
        return
    outer = found.places[0]
    same: dict[int, int] = {}
    for n, fits in enumerate(found.fits):
        if box.masks[outer] >> n & 1:
            part = fits & box.masks[inner]
            same[part] = same.get(part, 0) | 1 << n
    for part, mask in same.items():
        yield from _halves(box.having(outer, mask), inner, part)


def _halves(box: Box, place: int, mask: int) -> Iterator[tuple[bool, Box]]:
    left = box.masks[place] & ~mask
    if mask:
        yield True, box.having(place, mask)
    if left:
        yield False, box.having(place, left)
