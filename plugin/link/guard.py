"""Addresses that no endpoint has in, routes of the host by which packets to them go nowhere out.

Packets to an address that nobody holds would leave by the default route, and the flow that they make in conntrack
would be the next holder's: who answers there is believed. Such a route is unreachable and of the worst metric, so any
equal or more specific one that somebody else has wins, and the route to an endpoint does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from errno import EEXIST, ESRCH
from ipaddress import ip_address, ip_network, summarize_address_range

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import messages as veth
from calico_rkt.plugin.link import netlink, state
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.process.kept import kept


def prefixes(ipam: Ipam) -> tuple[Net, ...]:
    """What covers a conf's ranges without what it excludes and its gateways; nothing where it wants no guard.

    A range that begins and ends as its subnet does stands for all of it: nobody can have the first and last address.
    """
    if not ipam.guard:
        return ()
    ranges = [r for one in ipam.ranges for r in one]
    holes = [(int(n[0]), int(n[-1]), n.version) for n in ipam.exclude]
    holes += [(int(r.gateway), int(r.gateway), r.gateway.version) for r in ranges if r.gateway is not None]
    found = [
        net
        for r in ranges
        for lo, hi in _pieces(*_bounds(r), [(a, b) for a, b, version in holes if version == r.subnet.version])
        for net in summarize_address_range(*(ip_address(n.to_bytes(_size(r), "big")) for n in (lo, hi)))
    ]
    return tuple(dict.fromkeys(found))


def _size(r: Range) -> int:
    return r.subnet.max_prefixlen // 8


def _bounds(r: Range) -> tuple[int, int]:
    net = r.subnet
    first = net[0] if r.first == net[1] else r.first
    last = net[-1] if int(net[-1]) - int(r.last) <= 1 else r.last
    return int(first), int(last)


def _pieces(lo: int, hi: int, holes: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for a, b in sorted(holes):
        if b < lo or a > hi:
            continue
        if a > lo:
            yield lo, a - 1
        lo = b + 1
    if lo <= hi:
        yield lo, hi


@kept
def guards_key(ipam: Ipam) -> str:
    """What prefixes() depends on, as short text that an ADD compares."""
    if not ipam.guard or not ipam.ranges:
        return "own" if ipam.guard else "off"
    ranges = ";".join(f"{r.subnet},{r.first},{r.last},{r.gateway}" for one in ipam.ranges for r in one)
    return f"{ranges} {','.join(map(str, ipam.exclude))}"


def host_prefixes(addresses: Iterable[Address]) -> tuple[Net, ...]:
    """The prefixes of single addresses."""
    return tuple(map(ip_network, addresses))


def put_guards(nets: Iterable[Net]) -> frozenset[Net]:
    """Put the routes in place; those that were not there before."""
    wanted = tuple(nets)
    answers = _do(veth.unreachable_route(n, add=True) for n in wanted)
    for net, error in zip(wanted, answers, strict=True):
        if error is not None and error.errno != EEXIST:
            raise CniError(Code.LINK, f"no unreachable route to {net} can be made: {error.strerror}") from error
    return frozenset(n for n, error in zip(wanted, answers, strict=True) if error is None)


def take_guards(nets: Iterable[Net]) -> None:
    """Take the routes away; those that are gone already are no error."""
    wanted = tuple(nets)
    for net, error in zip(wanted, _do(veth.unreachable_route(n, add=False) for n in wanted), strict=True):
        if error is not None and error.errno != ESRCH:
            raise CniError(Code.LINK, f"the unreachable route to {net} can't be removed: {error.strerror}") from error


def open_to(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Those of the addresses that packets of this host would go to somewhere, or that it has no route for."""
    with host_socket() as host:
        return tuple(a for a in addresses if not state.lookup(host, a).unreachable)


def missing_guards(nets: Collection[Net]) -> tuple[Net, ...]:
    """Those of the routes that are not in the kernel."""
    with host_socket() as host:
        there = frozenset(state.unreachable(host))
    return tuple(n for n in nets if n not in there)


def _do(messages: Iterable[bytes]) -> list[netlink.NetlinkError | None]:
    try:
        with host_socket() as host:
            return [answer for batch in netlink.chunks(messages) for answer in host.batch(batch)]
    except OSError as e:
        raise CniError(Code.LINK, f"unreachable routes can't be asked for: {e.strerror}") from e
