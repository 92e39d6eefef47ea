"""The endpoints, their networks' reviewed rules and a packet in; what should become of it, and by which line, out.

docs/semantics.md and docs/security.md, said as a program: nothing of the kernel's table is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address, ip_network

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, UDP, Icmp, Network, Rule, ToHost
from calico_rkt.plugin.attest.conditions import begins
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.walk import End

_LINK_S_GROUPS = ip_network("ff02::/16")
PASSING = (End.THROUGH, End.TRANSLATED)
_TO_HOST_ALWAYS = frozenset({130, 131, 132, 133, 135, 136})
"""ICMPv6 without which IPv6 does not work between a container and its host."""
_FROM_LINK_LOCAL = frozenset({130, 131, 132, 136, 143})
"""Of it what comes from an address of the link alone, or from none yet."""
ASKED = {(ICMP, 0): Icmp(8, 0), (ICMPV6, 129): Icmp(128, 0)}
"""What an answer of ICMP was asked by."""


@dataclass(frozen=True, slots=True)
class Known:
    """An endpoint as it is recorded. settled: its ADD has ended, so that all of it has to be there."""

    container: str
    network_id: str
    ifname: str
    addresses: tuple[Address, ...]
    ip_masq: bool = False
    settled: bool = True

    def __str__(self) -> str:
        return f"{self.container} of {self.network_id}"


@dataclass(frozen=True)
class Wanted:
    """What has to be so: networks by id as they are reviewed, endpoints as recorded, ranges that networks have here.

    uplink: the interface by which the host reaches the outside; host: its own address there, by family. others: further
    interfaces that are none of endpoints; locals: all addresses of the host. By family: whether addresses of ranges
    that nobody has lead nowhere (guarded), and all others have a route (way_out). unmarked: whether nothing on this
    host gives packets a mark on their way.
    """

    networks: Mapping[str, Network]
    endpoints: Sequence[Known]
    ranges: Sequence[Net] = field(default_factory=tuple)
    uplink: str = "uplink"
    host: Mapping[int, Address] = field(
        default_factory=lambda: {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")}
    )
    others: Sequence[str] = ()
    locals: Sequence[Address] = ()
    guarded: frozenset[int] = frozenset({4, 6})
    way_out: frozenset[int] = frozenset({4, 6})
    unmarked: bool = True

    @cached_property
    def by_address(self) -> Mapping[Address, Known]:
        return {a: e for e in self.endpoints for a in e.addresses}

    @cached_property
    def by_ifname(self) -> Mapping[str, Known]:
        return {e.ifname: e for e in self.endpoints}

    def in_range(self, address: Address) -> bool:
        """Whether an address is one that a network here may give out."""
        return any(address.version == n.version and address in n for n in self.ranges)

    def is_nobody_s(self, address: Address) -> bool:
        """Whether packets to an address go nowhere: one of a network's range that nobody has, kept in by a guard."""
        here = address in self.by_address or address in self.locals or address in self.host.values()
        return address.version in self.guarded and self.in_range(address) and not here


@dataclass(frozen=True, slots=True)
class Right:
    """What is right for a packet, and why: a stage in words, and the reviewed rule where one decides."""

    end: End
    why: str
    rule: Rule | None = None

    @property
    def passes(self) -> bool:
        return self.end in PASSING

    @property
    def words(self) -> str:
        return f"{self.end.value}: {self.why}"

    @property
    def span(self) -> Span | None:
        """Where the reviewed rule stands."""
        return self.rule.span if self.rule is not None else None


def right(wanted: Wanted, packet: Packet) -> Right | None:
    """What should become of a packet; None where nobody has reviewed that: an end's network is not in the workspace."""
    spoofed = _spoofed(wanted, packet)
    if spoofed:
        return Right(End.DROP, spoofed)
    sender, receiver = wanted.by_ifname.get(packet.iif), wanted.by_ifname.get(packet.oif)
    if sender is not None and packet.version == 4 and packet.destination.is_loopback:
        return Right(End.DROP, "the host's loopback addresses are reached from the host alone")
    if packet.iif and packet.oif and receiver is None and packet.destination in wanted.by_address:
        return Right(End.DROP, "an endpoint's address is reached by its own interface only")
    if sender is None and receiver is None:
        return Right(End.THROUGH, "it is none of an endpoint's")
    if packet.kind is Kind.INVALID and packet.iif:
        return Right(End.DROP, "it belongs to no flow")
    before = opening_of(wanted, packet)
    if before is not None:
        opened = right(wanted, before)
        if opened is None or opened.end is not End.THROUGH:
            return None  # there is no such flow, or its ends are called otherwise behind the host
    if packet.kind is Kind.LATER:
        return Right(End.THROUGH, "it goes on in a flow that was allowed")
    if packet.kind is Kind.REPLY:
        return Right(End.THROUGH, "it answers a flow that was allowed")
    if packet.kind is Kind.ERROR:
        own = sender is None or any(a in sender.addresses for a in packet.flow or ())
        return Right(End.THROUGH, "errors follow their flow") if own else Right(End.DROP, "the flow is another's")
    return _judged(wanted, packet, sender, receiver)


def opening_of(wanted: Wanted, packet: Packet) -> Packet | None:
    """The packet that began the flow of a reply, or of one that an error is about (UDP to port 53); None of others."""
    if packet.kind is Kind.LATER:
        return replace(packet, kind=Kind.NEW)
    if packet.flow is None:
        return None
    first, last = packet.flow
    ends = way_to(wanted, first), way_to(wanted, last)
    if packet.kind is Kind.REPLY:
        asked = ASKED.get((packet.protocol, packet.icmp.type)) if packet.icmp is not None else None
        opened = Packet(Kind.NEW, first, last, packet.protocol, ends[0], ends[1], packet.dport, packet.sport, asked)
    else:
        opened = Packet(Kind.NEW, first, last, UDP, ends[0], ends[1], 49152, 53)
    return replace(opened, mark=packet.mark if opened.iif else None)


def way_to(wanted: Wanted, address: Address) -> str:
    """The interface by which an address is reached; none where it is the host's."""
    if address in wanted.by_address:
        return wanted.by_address[address].ifname
    return "" if address == wanted.host[address.version] else wanted.uplink


def _spoofed(wanted: Wanted, packet: Packet) -> str:
    """Why the packet's source can't be what it says; empty where it may."""
    if not packet.iif:
        return ""
    sender = wanted.by_ifname.get(packet.iif)
    if sender is not None:
        return (
            ""
            if packet.source in sender.addresses or _of_the_link(packet)
            else "its source is no address of the endpoint"
        )
    if packet.source in wanted.by_address:
        return "its source is an endpoint's address, and it came by another interface"
    if wanted.in_range(packet.source) and not packet.routed:
        return "its source is an address of a network's range that nobody has"
    return ""


def opening_packet(wanted: Wanted, packet: Packet) -> Opening:
    """The packet as rules of networks see it."""
    ends = (wanted.by_address.get(packet.source), wanted.by_address.get(packet.destination))
    return packet.opening(*({e.network_id: ""} if e is not None else None for e in ends))


def _of_the_link(packet: Packet) -> bool:
    """Whether it is IPv6's own about neighbours and listeners, from an address of the link, or from none yet."""
    to = packet.destination
    if packet.version != 6 or packet.protocol != ICMPV6 or packet.icmp is None:
        return False
    from_link = packet.source.is_link_local or packet.source.is_unspecified
    return from_link and packet.icmp.type in _FROM_LINK_LOCAL and (to.is_link_local or to in _LINK_S_GROUPS)


def _judged(wanted: Wanted, packet: Packet, sender: Known | None, receiver: Known | None) -> Right | None:
    opening = opening_packet(wanted, packet)
    if sender is not None and not packet.oif and packet.protocol == ICMPV6:
        kind = packet.icmp.type if packet.icmp is not None else -1
        if kind in _TO_HOST_ALWAYS:
            return Right(End.THROUGH, "neighbours and listeners of IPv6 reach the host always")
    last: Right | None = None
    for end, direction in ((sender, "egress"), (receiver, "ingress")):
        if end is None or (direction == "ingress" and not packet.iif):
            continue
        network = wanted.networks.get(end.network_id)
        if network is None:
            return None
        verdict = evaluate(getattr(network, direction), opening)
        last = Right(End.THROUGH if verdict.allowed else End.DROP, f"{direction} of {network.name}", verdict.rule)
        if not verdict.allowed:
            return last
    if sender is not None and not packet.oif:
        network = wanted.networks[sender.network_id]
        if network.endpoint_to_host is ToHost.DROP:
            return Right(End.DROP, f"endpoint_to_host of {network.name} is drop")
        return last
    if last is None:
        return Right(End.THROUGH, "the host reaches its own containers always")
    out = sender is not None and receiver is None and sender.ip_masq and not wanted.in_range(packet.destination)
    if out and begins(packet):  # IPv6's own about neighbours and listeners belongs to no flow: it keeps its source
        return Right(End.TRANSLATED, last.why, last.rule)
    return last
