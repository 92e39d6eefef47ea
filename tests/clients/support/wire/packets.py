"""A host's rules and the addresses that its endpoints have in, packets worth sending through it out.

Packets are aimed: at the edges of the nets and ports that rules name, at every kind of sender and receiver, and at
what no flow opens with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from calico_rkt.compiler.packets.opening import OPENING
from tests.clients.support.lab import HOST_V4, HOST_V6, OUTSIDE_V4, OUTSIDE_V6
from tests.clients.support.wire.drawing_rules import PORTS

Address = IPv4Address | IPv6Address
PORTED = (6, 17, 132, 136)
SYN, ACK, SYN_ACK, RST, SYN_ECE_CWR = 0x02, 0x10, 0x12, 0x04, 0xC2
HOSTS = {4: ip_address(HOST_V4), 6: ip_address(HOST_V6)}
OUTSIDES = {4: ip_address(OUTSIDE_V4), 6: ip_address(OUTSIDE_V6)}
_NOWHERE = [
    ip_network(n)
    for n in (
        *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "169.254.0.0/16", "192.0.2.0/24"),
        *("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8", "2001:db8:ffff::/64"),
    )
]
"""What is nobody's on a wire, or on the host's own: none of it is an address of the outside, but for OUTSIDES."""


@dataclass(frozen=True)
class Sent:
    """One packet: the place that sends it and what it says. place: an endpoint as `c1/eth0`, `host` or `outside`."""

    place: str
    source: Address
    destination: Address
    protocol: int
    ports: tuple[int, int] = (0, 0)
    icmp: tuple[int, int] = (0, 0)
    flags: int = SYN

    @property
    def version(self) -> int:
        return self.source.version

    @property
    def is_icmp(self) -> bool:
        """ICMP or ICMPv6, whatever carries it."""
        return self.protocol in OPENING

    def opens(self, *, checksums: bool) -> bool:
        """Whether conntrack begins a flow with it, or asks the policy about it each time.

        An ICMP in a packet of the other family is always invalid, and with checksums on, as they usually are, so is
        every UDPLite (Linux 6.18).
        """
        if self.is_icmp:
            return self.icmp[0] in OPENING[self.protocol] and (self.protocol, self.version) in ((1, 4), (58, 6))
        if self.protocol == 136:
            return not checksums
        return self.protocol != 6 or self.flags in (SYN, ACK, SYN_ECE_CWR)

    @property
    def flow(self) -> tuple[Any, ...]:
        """Packets with the same value are of one flow, or may answer each other."""
        ends = tuple(sorted((int(self.source), int(self.destination))))
        ported = self.ports if self.protocol in PORTED else self.icmp if self.is_icmp else ()
        return (self.protocol, self.version, ends, tuple(sorted(ported)))


class Aim:
    """What the files of a host name, as values that packets can have."""

    def __init__(
        self,
        rng: random.Random,
        host: Mapping[str, Any],
        endpoints: Mapping[str, Mapping[int, Address]],
        owns: Callable[[Address], bool],
    ) -> None:
        self._rng, self._endpoints, self._owns = rng, endpoints, owns
        ranges = [r for c in host["networks"] for one in c["ipam"]["ranges"] for r in one]
        nets = [ip_network(r["subnet"]) for r in ranges]
        given = {a for e in endpoints.values() for a in e.values()}
        ends = [a for n in nets for a in (n[-2], n[-3], n[9])]
        self._free = [a for a in ends if a not in given and owns(a)]
        values = list(_values(host["files"]))
        self._outside = {v: [a for a in _edges(values, v) if self.is_outside(a)] for v in (4, 6)}
        for version, address in OUTSIDES.items():
            self._outside[version] += [address] * (1 + len(self._outside[version]) // 3)
        self._ports = sorted({p for p in (*_port_edges(values), *PORTS, 0) if 0 <= p <= 65535})

    def is_outside(self, address: Address) -> bool:
        """Whether the outside may have the address, and the host sends there."""
        if address in OUTSIDES.values():
            return True
        nowhere = any(address.version == n.version and address in n for n in _NOWHERE)
        return not nowhere and not self._owns(address)

    def packets(self) -> Iterator[Sent]:
        """Without an end, no two of one flow."""
        seen: set[tuple[Any, ...]] = set()
        taken: set[tuple[Address, int]] = set()
        while True:
            sent = self._one()
            # Of what has no ports a masquerading host can tell one flow at a time to each address.
            single = (sent.destination, sent.protocol)
            bare = sent.protocol not in PORTED and not sent.is_icmp
            if sent.source == sent.destination or sent.flow in seen or (bare and single in taken):
                continue
            seen.add(sent.flow)
            if bare:
                taken.add(single)
            yield sent

    def _one(self) -> Sent:
        rng = self._rng
        ends = list(self._endpoints)
        version = rng.choice((4, 6))
        of_family = [e for e in ends if version in self._endpoints[e]]
        if not of_family:
            version, of_family = 10 - version, ends
        kinds = ("endpoint",) * 5 + ("outside", "outside", "host")
        sender, receiver = rng.choice(kinds), rng.choice(kinds)
        if "endpoint" not in (sender, receiver):
            sender = "endpoint"
        place = rng.choice(of_family) if sender == "endpoint" else sender
        source = self._address(sender, place, version)
        if sender != "host" and rng.random() < 0.12:
            source = self._forged(place, version, source)
        destination = self._address(receiver, rng.choice(of_family), version)
        return self._what(place, source, destination)

    def _address(self, kind: str, end: str, version: int) -> Address:
        if kind == "endpoint":
            return self._endpoints[end][version]
        return HOSTS[version] if kind == "host" else self._rng.choice(self._outside[version])

    def _forged(self, place: str, version: int, own: Address) -> Address:
        """An address that the sender does not have; from outside one of an endpoint, or of a range of ours."""
        rng = self._rng
        others = [e[version] for e in self._endpoints.values() if version in e and e[version] != own]
        choices = [*others, *(a for a in self._free if a.version == version)]
        if place != "outside":
            special = ("169.254.1.1", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255")
            special6 = ("::1", "ff02::1", "fe80::ecee:eeff:feee:eeee", "2001:db8::77")
            choices += [HOSTS[version], OUTSIDES[version], *map(ip_address, special if version == 4 else special6)]
        return rng.choice(choices or [own])

    def _what(self, place: str, source: Address, destination: Address) -> Sent:
        rng, version = self._rng, source.version
        protocol = rng.choice((6, 6, 6, 17, 17, 17, 132, 132, 136, 1, 1, 58, 58, 47, 99, 255, 2, 4, 41))
        if protocol in (1, 58) and rng.random() < 0.9:
            protocol = 1 if version == 4 else 58
        sent = Sent(place, source, destination, protocol)
        if protocol in PORTED:
            ports = tuple(rng.choice(self._ports) if rng.random() < 0.6 else rng.randint(1, 65535) for _ in range(2))
            flags = rng.choice((SYN,) * 12 + (ACK, SYN_ACK, RST, SYN_ECE_CWR))
            return Sent(place, source, destination, protocol, ports=(ports[0], ports[1]), flags=flags)
        if sent.is_icmp:
            opening = sorted(OPENING[protocol])
            kind = rng.choice(opening) if rng.random() < 0.85 else rng.randint(0, 255)
            return Sent(place, source, destination, protocol, icmp=(kind, rng.choice((0, 0, 0, 1, 255))))
        return sent


def _values(found: Any) -> Iterator[Any]:
    """Every plain value of a document."""
    if isinstance(found, Mapping):
        for value in found.values():
            yield from _values(value)
    elif isinstance(found, list):
        for value in found:
            yield from _values(value)
    else:
        yield found


def _edges(values: Iterable[Any], version: int) -> Iterator[Address]:
    """The first and the last address of every net that is named, and their neighbours."""
    for text in dict.fromkeys(v for v in values if isinstance(v, str) and "/" in v and v[0] in "0123456789abcdef:"):
        net = ip_network(text)
        if net.version == version:
            for number in (int(net[0]) - 1, int(net[0]), int(net[-1]), int(net[-1]) + 1):
                if 0 <= number < 1 << net.max_prefixlen:
                    yield type(net[0])(number)


def _port_edges(values: Iterable[Any]) -> Iterator[int]:
    for value in values:
        text = str(value)
        ends = text.split(":") if text.replace(":", "").isdecimal() else ()
        for end in map(int, ends):
            yield from (end - 1, end, end + 1)
