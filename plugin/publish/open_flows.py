"""What conntrack knows and the networks' rules in; which open flows a new policy denies, and those ended, out."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import TCP, Icmp, Network, Rule, ToHost
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import conntrack, netlink, sockdiag, state
from calico_rkt.plugin.link.netns import identity, open_netns, run_in
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.link.ways_into import way_into
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.log import LOG

# linux/netfilter/nfnetlink_conntrack.h
_PROTO, _PROTOINFO = 2, 4
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ICMP = ((5, 6), (8, 9))
"""Type and code of ICMP, and of ICMPv6."""
_TCP_INFO, _TCP_STATE, _OVER = 1, 1, (7, 8)
"""A TCP flow in TIME_WAIT or CLOSE is not open; a SYN of the same ports may all the same count as established."""
_A_WHILE = 0.05
"""Seconds that a reset may take to its peer before conntrack forgets the flow."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow as the rules see it: packet is its first one, behind DNAT and before SNAT.

    asked is where the source's socket sent it, answered who the destination's socket talks to. over: it ended, and
    conntrack still has it for a while.
    """

    packet: Packet
    asked: tuple[Address, int]
    answered: tuple[Address, int]
    entry: bytes
    over: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The open flows of some networks' endpoints, those of them that the rules deny, and denied ones that are over."""

    flows: tuple[Flow, ...]
    denied: tuple[Flow, ...]
    over: tuple[Flow, ...] = ()


def judge(endpoints: Sequence[Endpoint], rules: Callable[[str], Network | None], of: Collection[str]) -> Judged:
    """Decide every flow of endpoints of the networks `of` (ids), by the rules of both its ends.

    rules: a network's by its id; an endpoint whose network has none decides nothing.
    """
    holders = {a: object_id(e.key.network) for e in endpoints for a in e.addresses}
    mine = frozenset(of)
    with host_socket() as socket:  # not by routes: one to a single address leads to a neighbour, such as WireGuard's
        own = frozenset(address for _, address, _ in state.addresses(socket))
    judges = _Judges(rules)
    found = tuple(
        flow
        for flow in conntrack.entries(read_flow)
        if flow is not None
        and not mine.isdisjoint((holders.get(_source(flow), ""), holders.get(_destination(flow), "")))
    )
    denied = [f for f in found if not _is_allowed(_labelled(f.packet, holders), judges, own)]
    flows, ended = (tuple(f for f in found if not f.over), tuple(f for f in denied if f.over))
    return Judged(flows, tuple(f for f in denied if not f.over), ended)


def end_denied_flows(judged: Judged, endpoints: Sequence[Endpoint]) -> None:
    """End what is denied: TCP sockets of the endpoints are closed, their peers are told, and conntrack forgets it.

    Without the first a server that goes on sending would open the flow anew, from its own side.
    """
    ends: dict[Address, list[sockdiag.Connection]] = {}
    for flow in judged.denied:
        if flow.packet.protocol == TCP:
            for it, peer in ((flow.packet.source, flow.asked), (flow.packet.destination, flow.answered)):
                ends.setdefault(it.address, []).append((it.address, it.port, *peer))
    for endpoint in endpoints:
        connections = [c for a in endpoint.addresses for c in ends.get(a, ())]
        if connections:
            _reset(endpoint, connections)
    if ends:
        time.sleep(_A_WHILE)
    conntrack.delete_flows(f.entry for f in (*judged.denied, *judged.over))


def read_flow(body: bytes) -> Flow | None:
    """A flow as conntrack tells of it; None for what is no flow of addresses."""
    found = netlink.attributes(body[4:])
    ends = conntrack.ends(body)
    if len(ends) != 4:
        return None
    source, asked, destination, answered = (ip_address(e) for e in ends)
    first, back = (netlink.attributes(netlink.attributes(found[t]).get(_PROTO, b"")) for t in (1, 2))
    if _NUMBER not in first:
        return None
    (source_port, asked_port), (destination_port, answered_port) = _ports(first), _ports(back)
    packet = Packet(
        End(source, None, source_port), End(destination, None, destination_port), first[_NUMBER][0], _icmp(first)
    )
    return Flow(packet, (asked, asked_port), (answered, answered_port), body, _tcp_state(found) in _OVER)


def _tcp_state(found: Mapping[int, bytes]) -> int:
    tcp = netlink.attributes(netlink.attributes(found.get(_PROTOINFO, b"")).get(_TCP_INFO, b""))
    return tcp[_TCP_STATE][0] if _TCP_STATE in tcp else 0


def _ports(proto: Mapping[int, bytes]) -> tuple[int, int]:
    source, destination = (
        struct.unpack("!H", proto[k][:2])[0] if k in proto else 0 for k in (_SOURCE_PORT, _DESTINATION_PORT)
    )
    return source, destination


def _icmp(proto: Mapping[int, bytes]) -> Icmp | None:
    return next((Icmp(proto[t][0], proto[c][0]) for t, c in _ICMP if t in proto and c in proto), None)


def _source(flow: Flow) -> Address:
    return flow.packet.source.address


def _destination(flow: Flow) -> Address:
    return flow.packet.destination.address


def _labelled(packet: Packet, holders: Mapping[Address, str]) -> Packet:
    source, destination = (
        End(e.address, {holders[e.address]: ""} if e.address in holders else None, e.port)
        for e in (packet.source, packet.destination)
    )
    return Packet(source, destination, packet.protocol, packet.icmp)


class _Judge:
    """One network's rules, which remember what they said of a packet: flows differ in the source's port mostly."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._ports = {d: _looks_at_source_ports(r) for d, r in (("out", network.egress), ("in", network.ingress))}
        self._said: dict[object, bool] = {}

    def lets(self, direction: str, packet: Packet) -> bool:
        source, destination = packet.source, packet.destination
        port = source.port if self._ports[direction] else 0
        key = (direction, source.address, port, destination.address, destination.port, packet.protocol, packet.icmp)
        if key not in self._said:
            rules = self.network.egress if direction == "out" else self.network.ingress
            self._said[key] = evaluate(rules, packet).allowed
        return self._said[key]


def _looks_at_source_ports(rules: Iterable[Rule]) -> bool:
    return any(r.match.source.ports or r.match.source.not_ports for r in rules)


class _Judges:
    """Each network's, made when a flow of its endpoints is there."""

    def __init__(self, rules: Callable[[str], Network | None]) -> None:
        self._rules = rules
        self._made: dict[str, _Judge | None] = {}

    def of(self, network_id: str) -> _Judge | None:
        if network_id not in self._made:
            network = self._rules(network_id) if network_id else None
            self._made[network_id] = _Judge(network) if network else None
        return self._made[network_id]


def _is_allowed(packet: Packet, judges: _Judges, own: Collection[Address]) -> bool:
    if packet.source.address in own:
        return True  # the host reaches its own containers always
    sender, receiver = (judges.of(next(iter(e.labels or ()), "")) for e in (packet.source, packet.destination))
    if sender is not None:
        if not sender.lets("out", packet):
            return False
        if packet.destination.address in own and sender.network.endpoint_to_host is ToHost.DROP:
            return False
    return receiver is None or receiver.lets("in", packet)


def _reset(endpoint: Endpoint, connections: Sequence[sockdiag.Connection]) -> None:
    """Also where the recorded path leads elsewhere by now, as long as anything in /proc leads to the namespace."""
    place = (endpoint.netns_dev, endpoint.netns_inode)
    path = endpoint.netns if identity(endpoint.netns) == place else way_into(place)
    try:
        with open_netns(path) as netns:
            if (netns.dev, netns.inode) == place:
                run_in(netns, lambda: sockdiag.reset(connections))
    except (CniError, OSError) as e:
        LOG.warning("connections of %s in %s can't be reset: %s", endpoint.key.container, endpoint.netns, e)
