"""Where something may differ in; packets that could show it, the plainest first, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, SCTP, TCP, UDP, Icmp, Rule
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.packets.opening import OPENING
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import KernelRule, Set

OUTSIDE = {4: ip_address("203.0.113.9"), 6: ip_address("2001:db8::9")}
"""An address of nobody here (RFC 5737, RFC 3849)."""
_MOST_ENDS, _MOST_VALUES = 6, 12
_MOST = 20_000
HIGH = 49152
"""A port that a client has by itself."""
_ETHERTYPE = {"key": "protocol"}
"""What `meta protocol` asks: a number there is no protocol of IP."""
_OWN_ICMP = {4: ICMP, 6: ICMPV6}


@dataclass(slots=True)
class Hints:
    """What rules and elements that differ speak of: packets about it come first."""

    addresses: dict[Address, None] = field(default_factory=dict)
    ports: dict[int, None] = field(default_factory=dict)
    protocols: dict[int, None] = field(default_factory=dict)
    icmp: dict[tuple[int, int], None] = field(default_factory=dict)
    interfaces: dict[str, None] = field(default_factory=dict)
    networks: dict[str, None] = field(default_factory=dict)

    def of_rule(self, rule: Rule) -> None:
        """Values at the edges of what a reviewed rule speaks of."""
        m = rule.match
        for side in (m.source, m.destination):
            for net in nets((*side.nets, *side.not_nets))[:_MOST_VALUES]:
                self._net(str(net))
            for port in ports((*side.ports, *side.not_ports))[:_MOST_VALUES]:
                self._number(self.ports, port.lo, port.hi, 65535)
        for protocol in (m.protocol, m.not_protocol):
            if protocol is not None:
                self.protocols[protocol] = None
        for icmp in (m.icmp, m.not_icmp):
            if icmp is not None:
                self.icmp[icmp.type, icmp.code or 0] = None
                self.icmp[icmp.type, (icmp.code or 0) ^ 1] = None

    def of_kernel_rule(self, rule: KernelRule, sets: Mapping[str, Set] | None = None) -> None:
        """The same of a rule of the kernel: any number and address in it may matter."""
        for statement in rule.statements:
            if "match" in statement:
                self._of_match(statement["match"], sets or {})

    def of_element(self, words: str) -> None:
        """The parts of an element's key."""
        for part in words.split(" . "):
            if any(c in part for c in ".:") and not part.startswith("crk"):
                self._net(part)
            else:
                self.interfaces[part] = None

    def _of_match(self, match: dict[str, Any], sets: Mapping[str, Set]) -> None:
        left, right = match["left"], match["right"]
        parts = left.get("concat", [left]) if isinstance(left, dict) else []
        about = [next(iter(p.values())) for p in parts if isinstance(p, dict)]
        values = right.get("set", [right]) if isinstance(right, dict) else right if isinstance(right, list) else [right]
        if isinstance(right, str) and right.startswith("@"):
            known = sets.get(right[1:])
            for element in islice(known.elements, _MOST_VALUES) if known else ():
                self.of_element(element)
            return
        for value in values[:_MOST_VALUES]:
            given = value.get("concat", [value]) if isinstance(value, dict) else [value]
            for place, one in zip(about, given, strict=False):
                self._of_value(place, one)
        numbers = [v for v in values if isinstance(v, int)]
        if about and about[0] == {"protocol": "icmp", "field": "code"}:
            for kind, _ in list(self.icmp):
                self.icmp.update({(kind, n): None for n in numbers})

    def _of_value(self, place: Any, value: Any) -> None:  # noqa: ANN401 - nft's JSON
        what = place.get("field") or place.get("key") if isinstance(place, dict) else ""
        lo, hi = value["range"] if isinstance(value, dict) and "range" in value else (value, value)
        if what in ("saddr", "daddr"):
            text = (
                f"{value['prefix']['addr']}/{value['prefix']['len']}"
                if isinstance(value, dict) and "prefix" in value
                else lo
            )
            self._net(str(text))
        elif what in ("sport", "dport") and isinstance(lo, int) and isinstance(hi, int):
            self._number(self.ports, lo, hi, 65535)
            protocol = {"tcp": TCP, "udp": UDP, "sctp": SCTP}.get(place.get("protocol", ""))
            if protocol:
                self.protocols[protocol] = None
        elif what in ("l4proto", "protocol") and place != _ETHERTYPE and isinstance(lo, int) and lo < 256:
            self.protocols[lo] = None
        elif what == "type" and isinstance(lo, int):
            self.icmp[lo, 0] = None
            self.icmp[lo, 1] = None

    def _net(self, text: str) -> None:
        try:
            net = ip_network(text, strict=False)
        except ValueError:
            return
        for address in (net[0], net[1] if net.num_addresses > 1 else net[0], net[-1]):
            self.addresses[address] = None
        for value in (int(net[0]) - 1, int(net[-1]) + 1):
            if 0 < value < 1 << net.max_prefixlen:
                self.addresses[type(net[0])(value)] = None

    @staticmethod
    def _number(into: dict[int, None], lo: int, hi: int, most: int) -> None:
        for value in (lo, hi, lo - 1, hi + 1):
            if 0 < value <= most:
                into[value] = None


def packets(wanted: Wanted, hints: Hints) -> Iterator[Packet]:
    """Packets of every kind between the ends that hints speak of and some others, with a bound."""
    yield from islice(_packets(wanted, hints), _MOST)


def _packets(wanted: Wanted, hints: Hints) -> Iterator[Packet]:
    ends = _chosen(wanted, hints)
    for version in (4, 6):
        outside = _outside(wanted, hints, version)
        pairs = list(_pairs(wanted, ends, outside, version))
        for said in (True, False):
            for protocol, sport, dport, icmp in _contents(hints, version, said=said):
                for source, destination, iif, oif in pairs:
                    yield Packet(
                        Kind.NEW,
                        source,
                        destination,
                        protocol,
                        iif,
                        oif,
                        sport,
                        dport,
                        icmp,
                        routed=not wanted.in_range(source) or source in wanted.by_address,
                    )
        for protocol, sport, dport, icmp in _contents(hints, version, said=False):
            far, own = OUTSIDE[version], wanted.host[version]
            yield Packet(Kind.NEW, far, own, protocol, wanted.uplink, "", sport, dport, icmp)
        yield from _followers(wanted, ends, outside, version)


def _chosen(wanted: Wanted, hints: Hints) -> list[Known]:
    """A few endpoints: those that are spoken of, then one of each network."""
    found: dict[str, Known] = {}
    for address in hints.addresses:
        if address in wanted.by_address:
            found.setdefault(wanted.by_address[address].ifname, wanted.by_address[address])
    for name in hints.interfaces:
        if name in wanted.by_ifname:
            found.setdefault(name, wanted.by_ifname[name])
    for each in (2, 1):
        counts: dict[str, int] = {}
        for e in wanted.endpoints:
            if len(found) >= _MOST_ENDS and each == 1:
                break
            if (e.network_id in hints.networks) == (each == 2) and counts.get(e.network_id, 0) < each:
                counts[e.network_id] = counts.get(e.network_id, 0) + 1
                found.setdefault(e.ifname, e)
    return list(found.values())[: 2 * _MOST_ENDS]


def _outside(wanted: Wanted, hints: Hints, version: int) -> list[Address]:
    here = {*wanted.by_address, *wanted.locals, *wanted.host.values()}  # nobody outside has these
    said = [a for a in hints.addresses if a.version == version and a not in here]
    free = (n[i] for n in wanted.ranges if n.version == version for i in range(1, min(n.num_addresses, 300)))
    unheld = next((a for a in free if a not in wanted.by_address), None)
    return [*said[:_MOST_VALUES], *([unheld] if unheld is not None else []), OUTSIDE[version]]


_Pair = tuple[Address, Address, str, str]
"""Source, destination, the interfaces that it comes in and leaves by."""


def _pairs(wanted: Wanted, ends: Sequence[Known], outside: Sequence[Address], version: int) -> Iterator[_Pair]:
    mine = [(e, a) for e in ends for a in e.addresses if a.version == version]
    for e, a in mine:
        for far in outside:
            if not wanted.in_range(far):  # packets to an address of ours that nobody has go nowhere
                yield a, far, e.ifname, wanted.uplink
            yield far, a, wanted.uplink, e.ifname
        yield a, wanted.host[version], e.ifname, ""
        for other, b in mine:
            if other is not e:
                yield a, b, e.ifname, other.ifname
    for e, a in mine:  # forged: another's address, and one of nobody
        for other, b in mine:
            if other is not e:
                yield b, OUTSIDE[version], e.ifname, wanted.uplink
                yield a, b, wanted.uplink, other.ifname
        yield a, wanted.host[version], wanted.uplink, ""
        for far in outside:
            yield far, OUTSIDE[version] if far != OUTSIDE[version] else wanted.host[version], e.ifname, wanted.uplink
        yield (
            OUTSIDE[version],
            a,
            wanted.uplink,
            wanted.uplink,
        )  # an endpoint's address by an interface that is not its own


def _contents(hints: Hints, version: int, *, said: bool) -> Iterator[tuple[int, int, int, Icmp | None]]:
    """Protocol, ports and ICMP: those that are spoken of, or a few that anybody knows."""
    own = _OWN_ICMP[version]
    if not said:
        echo = Icmp(8 if version == 4 else 128, 0)
        yield from (
            (TCP, HIGH, 80, None),
            (UDP, HIGH, 53, None),
            (own, 0, 0, echo),
            (SCTP, HIGH, 5000, None),
            (47, 0, 0, None),
        )
        if version == 6:
            yield from ((own, 0, 0, Icmp(kind, 0)) for kind in (130, 133, 135, 136, 143))
        return
    some = list(hints.ports)[:_MOST_VALUES]
    ported = [p for p in hints.protocols if p in (TCP, UDP, SCTP)] or ([TCP, UDP] if some else [])
    for protocol in ported:
        yield from ((protocol, HIGH, port, None) for port in some)
        yield from ((protocol, port, 80, None) for port in some)
        yield protocol, HIGH, 80, None
        yield protocol, HIGH, 9, None
    opening = [kind for kind in hints.icmp if kind[0] in OPENING[own]]  # the others are answers, errors or invalid
    yield from ((own, 0, 0, Icmp(*kind)) for kind in opening[:_MOST_VALUES])
    yield from ((p, 0, 0, None) for p in hints.protocols if p not in (TCP, UDP, SCTP, ICMP, ICMPV6))


def _followers(wanted: Wanted, ends: Iterable[Known], outside: Sequence[Address], version: int) -> Iterator[Packet]:
    """Replies, errors and what belongs to no flow, to and from the outside and the host."""
    error = Icmp(3, 1) if version == 4 else Icmp(1, 0)
    reply = Icmp(0, 0) if version == 4 else Icmp(129, 0)
    own, far = _OWN_ICMP[version], outside[-1]
    mine = [(e, a) for e in ends for a in e.addresses if a.version == version]
    for e, a in mine:
        for iif, oif, source, destination in (
            (e.ifname, wanted.uplink, a, far),
            (wanted.uplink, e.ifname, far, a),
            (e.ifname, "", a, wanted.host[version]),
        ):
            flow = (destination, source)
            yield Packet(Kind.REPLY, source, destination, TCP, iif, oif, 80, HIGH, flow=flow)
            yield Packet(Kind.REPLY, source, destination, UDP, iif, oif, 53, HIGH, flow=flow)
            yield Packet(Kind.INVALID, source, destination, own, iif, oif, icmp=reply)
            yield Packet(
                Kind.ERROR, source, destination, own, iif, oif, icmp=error, flow=(source, destination) if oif else flow
            )
            yield Packet(Kind.ERROR, source, destination, own, iif, oif, icmp=error, flow=flow)
        for other, b in mine:
            if other is not e:
                yield Packet(Kind.ERROR, a, far, own, e.ifname, wanted.uplink, icmp=error, flow=(b, far))
                yield Packet(
                    Kind.ERROR, a, wanted.host[version], own, e.ifname, "", icmp=error, flow=(b, wanted.host[version])
                )
