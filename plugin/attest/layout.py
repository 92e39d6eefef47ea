"""Values that stand for all others in; all packets of one kind and family, by the fields of boxes, out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMPV6, Icmp
from calico_rkt.plugin.attest.boxes import Masks, bits
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.values import Values


class Layout:
    """groups: the device groups of interfaces. values: of each field of a packet."""

    def __init__(self, values: Values, wanted: Wanted, kind: Kind, version: int, groups: Mapping[str, int]) -> None:
        self.wanted, self.kind, self.version, self.groups = wanted, kind, version, groups
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

    @cached_property
    def all(self) -> Masks:
        """Of each field of a box all values."""
        names, addresses = len(self.values["iif"]), len(self.values["source"])
        rest = (len(self.values[n]) for n in ("protocol", "sport", "dport", "icmp", "first", "last"))
        return tuple((1 << n) - 1 for n in (names * addresses, names * addresses, *rest))

    def mask(self, field: str, fits: Callable[[Any], bool]) -> int:
        """The values of a packet's field that are wanted, as a mask of the box's field that it is in."""
        return self.lifted(field, sum(1 << n for n, value in enumerate(self.values[field]) if fits(value)))

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

    def lifted(self, field: str, mask: int) -> int:
        """Values of a packet's field as a mask of the box's field that it is in."""
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
