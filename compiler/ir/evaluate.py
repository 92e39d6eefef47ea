"""One packet and a network's rules in, the verdict and the deciding rule out: the IR's meaning in its plainest form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, Action, Icmp, Net, PortRange, Rule, Side
from calico_rkt.compiler.ir.resolved import nets, ports

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class End:
    """One end of a packet; labels is None for the host and the outside, which no selector matches."""

    address: Address
    labels: Mapping[str, str] | None = None
    port: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that opens a flow; ports are 0 and icmp None where the protocol has none."""

    source: End
    destination: End
    protocol: int
    icmp: Icmp | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a direction's rules let the packet pass, by which rule; rule None means that no rule matched: denied."""

    allowed: bool
    rule: Rule | None


def evaluate(rules: tuple[Rule, ...], packet: Packet) -> Verdict:
    """First match wins, Log decides nothing, no match is deny (design of Felix's profile chains)."""
    for rule in rules:
        if rule.action is not Action.LOG and matches(rule, packet):
            return Verdict(rule.action is Action.ALLOW, rule)
    return Verdict(allowed=False, rule=None)


def matches(rule: Rule, packet: Packet) -> bool:
    """Whether a resolved rule is about this packet."""
    m = rule.match
    if m.ip_version not in (None, packet.source.address.version):
        return False
    if m.protocol not in (None, packet.protocol) or m.not_protocol == packet.protocol:
        return False
    if m.icmp is not None and not _icmp_matches(m.icmp, packet):
        return False
    if m.not_icmp is not None and _icmp_matches(m.not_icmp, packet):
        return False
    return _side_matches(m.source, packet.source) and _side_matches(m.destination, packet.destination)


def _icmp_matches(wanted: Icmp, packet: Packet) -> bool:
    if packet.protocol not in (ICMP, ICMPV6) or packet.icmp is None:
        return False
    return packet.icmp.type == wanted.type and wanted.code in (None, packet.icmp.code)


def _side_matches(side: Side, end: End) -> bool:
    if side.nets and not any(_in_net(end.address, n) for n in nets(side.nets)):
        return False
    if any(_in_net(end.address, n) for n in nets(side.not_nets)):
        return False
    if side.ports and not any(_in_range(end.port, p) for p in ports(side.ports)):
        return False
    if any(_in_range(end.port, p) for p in ports(side.not_ports)):
        return False
    if side.selector is not None and (end.labels is None or not side.selector.matches(end.labels)):
        return False
    return not (side.not_selector is not None and end.labels is not None and side.not_selector.matches(end.labels))


def _in_net(address: Address, net: Net) -> bool:
    return address.version == net.version and address in net


def _in_range(port: int, wanted: PortRange) -> bool:
    return wanted.lo <= port <= wanted.hi
