"""The container's end of a link in; that end furnished, looked at, or tidied up after. All runs in its namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.cni.result import has_table
from calico_rkt.plugin.link import ip_rules, messages, netlink, sends, state, sysctls
from calico_rkt.plugin.link.neighbours import neighbour
from calico_rkt.plugin.model import Endpoint

_SECOND = 2048
"""Metrics above IPv6's usual 1024: the first network of a container keeps the default route. Tables, and the order of
the rules that lead to them, are numbered so, too: before the main table's 32766."""
_WORST_METRIC = (1 << 32) - 1
_MANY = 32
"""Routes, each of which the kernel may refuse, and say so."""


def furnish(
    ifname: str, index: int, addresses: Sequence[Address], routes: Sequence[Net], gateways: Mapping[int, Address]
) -> int:
    """Addresses, routes and neighbours; the number of the table of its own where another network was there before.

    A network of IPv4 alone gives its end no IPv6 address of its own accord either: nobody would get an answer by it.
    NetlinkError when the kernel refuses; then nothing is left but what goes with the link.
    """
    ipv6 = any(a.version == 6 for a in addresses)
    if ipv6:
        sysctls.enable_ipv6_inside(ifname)
    with netlink.Socket(brief=len(routes) < _MANY) as socket:
        metric = _metric(socket, index, addresses, routes, gateways)
        table = _SECOND + index if metric else 0
        try:
            for error in socket.batch(sends.inside(index, addresses, routes, metric, gateways, table)):
                if error is not None and (ipv6 or error.index):
                    raise error
        except BaseException:
            if table:
                socket.batch(messages.rules_gone((a, table) for a in addresses))
            raise
    return table


def _metric(
    socket: netlink.Socket,
    index: int,
    addresses: Sequence[Address],
    routes: Sequence[Net],
    gateways: Mapping[int, Address],
) -> int:
    """0 for a container's first network; else one behind every route that is there already."""
    versions = sorted({a.version for a in addresses})
    found = tuple(state.routes(socket, tuple(versions)))
    if not found:
        return 0
    wanted = {*routes, *(messages.alone(gateways[v]) for v in versions)}
    there = [r.metric for r in found if r.destination in wanted]
    return min(max(_SECOND + index, *(m + 1 for m in there)), _WORST_METRIC) if there else 0


def tidy(addresses: Sequence[Address]) -> None:
    """Take away the rules that send these sources to a table of ours: they stay when the link goes."""
    with netlink.Socket() as socket:
        rules = [r for r in ip_rules.source_rules(socket) if r[0] in addresses and r[1] >= _SECOND]
        socket.batch(messages.rules_gone(rules))


def remove(ifname: str, mac: str) -> bool:
    """Remove the container's end, and so the pair, when it is the veth with that MAC."""
    with netlink.Socket() as socket:
        found = state.interface(socket, ifname)
        if found is None or found.kind != "veth" or found.mac != mac.lower():
            return False
        with suppress(netlink.NetlinkError):
            socket.do(messages.removal(found.index))
    return True


def check(endpoint: Endpoint, routes: Sequence[Net], gateways: Mapping[int, Address], mac: str) -> list[str]:
    """What is not as ADD left it, in words; mac is what the interface should have.

    A neighbour entry of the gateway that is missing is none: the host's end answers who asks.
    """
    name = endpoint.key.ifname
    with netlink.Socket() as socket:
        link = state.interface(socket, name)
        if link is None:
            return [f"the container has no {name}"]
        problems = [] if link.up else [f"the container's {name} is down"]
        if link.mac != mac:
            problems.append(f"the container's {name} has the MAC {link.mac}, not {mac}")
        have = {address for index, address, _ in state.addresses(socket) if index == link.index}
        problems += [f"the container's {name} lacks {a}" for a in endpoint.addresses if a not in have]
        versions = sorted({a.version for a in endpoint.addresses})
        ways = {(r.destination, r.gateway) for r in state.routes(socket) if r.index == link.index}
        for destination in messages.routes_inside(versions, routes):
            if (destination, gateways[destination.version]) not in ways:
                problems.append(f"the container has no route to {destination} by {name}")
        for version in versions:
            found = neighbour(socket, link.index, gateways[version])
            if found is not None and found.mac not in ("", messages.HOST_MAC):
                words = f"the container takes {found.mac} for {gateways[version]}"
                problems.append(f"{words}, which is {messages.HOST_MAC}")
        if endpoint.result and has_table(endpoint.result):
            ruled = {address for address, table in ip_rules.source_rules(socket) if table >= _SECOND}
            problems += [
                f"the container has no rule for what comes from {a}" for a in endpoint.addresses if a not in ruled
            ]
        return problems
