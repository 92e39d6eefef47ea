"""Conditions and a set of packets in; those of them that fulfil it, and those that do not, out: nothing is left open.

A set of packets is a box (boxes.py) of values that stand for all others (values.py). Whether a value fulfils a
condition is asked of conditions.py, by packets that have it: there is one meaning of conditions, and no second here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from itertools import product
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMPV6, Icmp
from calico_rkt.plugin.attest import conditions
from calico_rkt.plugin.attest.boxes import PLACES, Box, Field, Masks, assumed, bits, parts
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import Set
from calico_rkt.plugin.attest.values import Values

_MOST_ASKED = 100_000


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
        names, addresses = ("", *values.names), values.addresses
        self.values: Mapping[str, tuple[Any, ...]] = {
            "iif": names,
            "oif": names,
            "source": addresses,
            "destination": addresses,
            "protocol": values.protocols,
            "sport": values.ports,
            "dport": values.ports,
            "icmp": values.icmp,
            "first": addresses,
            "last": addresses,
        }
        self._first = {name: several[0] for name, several in self.values.items()}
        self._routed = {a: a in wanted.by_address or not wanted.in_range(a) for a in addresses}
        self._at = {name: n for n, name in enumerate(names)}, {address: n for n, address in enumerate(addresses)}
        self._every_name = sum(1 << n * len(addresses) for n in range(len(names)))
        self._known, self._of_all = dict[object, Field | None](), known
        self._ones: dict[str, bool] = {}
        self._asked: dict[tuple[str, int, str], tuple[tuple[str, ...] | None, str]] = {}

    @cached_property
    def all(self) -> Masks:
        """Of each field of a box all values."""
        names, addresses = len(self.values["iif"]), len(self.values["source"])
        rest = (len(self.values[n]) for n in ("protocol", "sport", "dport", "icmp", "first", "last"))
        return tuple((1 << n) - 1 for n in (names * addresses, names * addresses, *rest))

    def mask(self, field: str, fits: Callable[[Any], bool]) -> int:
        """The values of a packet's field that are wanted, as a mask of the box's field that it is in."""
        return self._lifted(field, sum(1 << n for n, value in enumerate(self.values[field]) if fits(value)))

    def those(self, field: str, wanted: Collection[Any]) -> int:
        """The values of a field that are among these."""
        return self.mask(field, lambda value: value in wanted)

    def ends(self, pairs: Collection[tuple[str, Address]]) -> int:
        """Interfaces, each with an address, as a mask of senders or receivers."""
        width = len(self.values["source"])
        return sum(1 << self._at[0][name] * width + self._at[1][address] for name, address in set(pairs))

    def among(self, field: str, mask: int) -> list[Any]:
        """The values of a field that is one of a box by itself."""
        return [self.values[field][n] for n in bits(mask)]

    def pairs(self, mask: int) -> list[tuple[str, Address]]:
        """The interfaces and addresses of senders or receivers."""
        names, addresses = self.values["iif"], self.values["source"]
        return [(names[n // len(addresses)], addresses[n % len(addresses)]) for n in bits(mask)]

    def _lifted(self, field: str, mask: int) -> int:
        width = len(self.values["source"])
        if field in ("iif", "oif"):
            row = (1 << width) - 1
            return sum(row << n * width for n in bits(mask))
        return mask * self._every_name if field in ("source", "destination") else mask

    def packet(self, chosen: Mapping[str, Any]) -> Packet:
        """One of the packets; fields that are not chosen have their first value."""
        at = {**self._first, **chosen}
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
            self._routed[source],
            mark,
            (self.groups.get(at["iif"]), self.groups.get(at["oif"])),
        )

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
            words = f"{own}|{hook}|{json.dumps(match, sort_keys=True)}"
            self._asked[place] = self.fields(match["left"], hook), words
        names, words = self._asked[place]
        sets = self.sets[table]
        by_flow, assumption = '"ct"' in words, f"{chain}|{words}"
        return self.split_by(words, names, lambda p: conditions.holds(match, p, sets, hook), box, assumption, by_flow)

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
        return parts(found, box, assumption)

    def _field(self, names: tuple[str, ...], holds: Callable[[Packet], bool | None]) -> Field | None:
        places = tuple(dict.fromkeys(PLACES[n] for n in names))
        if not places:
            held = holds(self.packet({}))
            return None if held is None else Field((), ((0, int(held)),))
        lists = [self.values[n] for n in names]
        if len(lists[0]) * len(lists[-1]) > _MOST_ASKED and len(names) > 1:
            return None
        if len(places) == 1:
            return self._of_one(places, names, holds)
        found: dict[int, int] = {}
        for at, one in enumerate(lists[0]):
            mask = 0
            for n, value in enumerate(lists[1]):
                held = holds(self.packet({names[0]: one, names[1]: value}))
                if held is None:
                    return None
                mask |= int(held) << n
            found[mask] = found.get(mask, 0) | 1 << at
        lifted = ((self._lifted(names[0], outer), self._lifted(names[1], inner)) for inner, outer in found.items())
        return Field(places, tuple(lifted))

    def _of_one(self, places: tuple[int, ...], names: tuple[str, ...], holds: Callable[[Packet], bool | None]) -> Field:
        """names: one field of a packet, or an interface and an address that are one field of a box."""
        names = tuple(sorted(names, key=lambda n: n not in ("iif", "oif")))
        fits, unknown = [], []
        for n, values in enumerate(product(*(self.values[name] for name in names))):
            held = holds(self.packet(dict(zip(names, values, strict=True))))
            fits += [n] if held else []
            unknown += [n] if held is None else []
        masks = (sum(1 << n for n in found) for found in (fits, unknown))
        fit, open_ = masks if len(names) > 1 else (self._lifted(names[0], mask) for mask in masks)
        return Field(places, ((0, fit),), open_)

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
