"""What of host ends, routes and sysctls is not as it should be in; packets that get lost by it, or why not, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.attest.oracle import Known, Wanted, right
from calico_rkt.plugin.attest.outcome import Difference
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.probes import Hints, packets
from calico_rkt.plugin.link import state
from calico_rkt.plugin.link.sockets import host_socket


def way_out() -> tuple[str, dict[int, Address]]:
    """The interface of the host's default route, and the host's own address there by family."""
    with host_socket() as socket:
        default = next((r for r in state.routes(socket) if r.unicast and not r.destination.prefixlen and r.index), None)
        links = {i.index: i.name for i in state.interfaces(socket)}
        found: dict[int, Address] = {
            a.version: a
            for index, a, _ in state.addresses(socket)
            if default is not None and index == default.index and not a.is_link_local
        }
    return (links.get(default.index, "uplink") if default is not None else "uplink"), found


def surroundings(wanted: Wanted) -> Wanted:
    """The same with what this host has around its endpoints: interfaces, its addresses, and where routes lead."""
    with host_socket() as socket:
        links = [i.name for i in state.interfaces(socket)]
        own = tuple(dict.fromkeys(a for _, a, _ in state.addresses(socket)))
        nowhere = tuple(state.unreachable(socket))
        ways = frozenset(
            r.destination.version for r in state.routes(socket) if r.unicast and not r.destination.prefixlen
        )
    known = {*wanted.by_ifname, wanted.uplink, "lo"}
    open_ = {n.version for n in wanted.ranges if not any(n.version == u.version and _within(n, u) for u in nowhere)}
    return replace(
        wanted,
        others=tuple(n for n in links if n not in known),
        locals=own,
        guarded=frozenset({4, 6} - open_),
        way_out=ways,
    )


def _within(net: Net, other: Net) -> bool:
    return net[0] in other and net[-1] in other


_MOST = 20
"""Things of the host for which a packet is looked for."""


def unrecorded() -> bool:
    """Whether host ends with names of ours are up: who has no record of them can't prove anything."""
    with host_socket() as socket:
        return any(i.up and i.name.startswith(state.PREFIX) for i in state.veths(socket))


_LOSE = (
    "no route to",
    "leads another way",
    " is down",
    "forwarding is off",
    "ip_forward is off",
    "should be called",
    "the host has no crk",
    "takes ",
    "in device group",
)
"""Words of host_ends.py about what packets that are allowed get lost by; all else is told, and open."""

_BELOW = "may pass below netfilter"


def lost(wanted: Wanted, problems: Sequence[tuple[str, str]]) -> Iterator[Difference | str]:
    """problems: each an endpoint's interface and what is wrong with it, in words. A difference, or why it is open."""
    told: dict[str, str] = {}
    for ifname, words in problems:
        told.setdefault(words, ifname)
    for words, ifname in list(told.items())[:_MOST]:
        endpoint = wanted.by_ifname.get(ifname)
        packet = next(_allowed(wanted, endpoint, words), None) if endpoint is not None and _loses(words) else None
        if packet is None:
            yield words if _BELOW in words else f"{words}: no packet is known that it changes"
            continue
        should = right(wanted, packet)
        why, span = (should.words, should.span) if should is not None else ("", None)
        yield Difference(words, "is lost", why, packet, None, words, span)
    if len(told) > _MOST:
        yield f"{len(told) - _MOST} more of host ends, routes and sysctls are not as they should be: calico-rkt status"


def _loses(words: str) -> bool:
    return any(part in words for part in _LOSE)


def _allowed(wanted: Wanted, endpoint: Known, words: str) -> Iterator[Packet]:
    """Packets to the endpoint, then from it, that the review lets through."""
    version = 6 if "ipv6" in words or ":" in words.partition("route to ")[2].partition(" ")[0] else 4
    hints = Hints(interfaces={endpoint.ifname: None}, networks={endpoint.network_id: None})
    found = [p for p in packets(wanted, hints) if p.oif and p.iif and _passes(wanted, p)]
    own = [p for p in found if p.version == version] or ([] if "route to" in words else found)
    yield from (p for p in own if p.oif == endpoint.ifname)
    if "route to" not in words:
        yield from (p for p in own if p.iif == endpoint.ifname)


def _passes(wanted: Wanted, packet: Packet) -> bool:
    should = right(wanted, packet)
    return should is not None and should.passes


def all_lost(wanted: Wanted, problems: Sequence[tuple[str, str]]) -> tuple[list[Difference], list[str]]:
    """The same in two lists."""
    found: Iterable[Difference | str] = list(lost(wanted, problems))
    return [f for f in found if isinstance(f, Difference)], [f for f in found if isinstance(f, str)]
