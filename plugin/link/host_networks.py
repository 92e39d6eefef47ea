"""The host's own addresses and on-link networks out, each with its interface: what no range of a network may cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from errno import ENODEV
from functools import cache
from ipaddress import ip_network

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.link import netlink, state
from calico_rkt.plugin.link.state import Interface

Named = tuple[Net, str]


def host_networks() -> tuple[Named, ...]:
    """The host's own addresses (as /32 and /128) and its on-link networks, each with the interface's name.

    Host ends of ours and what leads to them are left out, and so are IPv6's link-local networks, which every
    link has.
    """
    with netlink.Socket() as socket:
        links = {i.index: i for i in state.interfaces(socket)}
        found = set(_on_link(socket, links.get, single=True))
        for index, address, _ in state.addresses(socket):
            if index in links and not links[index].nonce:
                found.add((ip_network(address), links[index].name))
    return _in_order(found)


def on_link_networks() -> tuple[Named, ...]:
    """Of those the networks of more than one address. What it takes does not grow with the endpoints."""
    with netlink.Socket() as socket:

        @cache
        def link(index: int) -> Interface | None:
            try:
                return state.interface_at(socket, index)
            except netlink.NetlinkError as e:
                if e.errno != ENODEV:
                    raise
                return None

        return _in_order(_on_link(socket, link, single=False))


def _on_link(socket: netlink.Socket, link: Callable[[int], Interface | None], *, single: bool) -> Iterator[Named]:
    for route in state.routes(socket, kind=state.UNICAST, single=single):
        if route.gateway is None and route.destination.prefixlen and route.index:
            through = link(route.index)
            if through is not None and not through.nonce:
                yield route.destination, through.name


def _in_order(found: Iterable[Named]) -> tuple[Named, ...]:
    there = {n for n in found if not n[0].is_link_local}
    return tuple(sorted(there, key=lambda n: (n[0].version, n[0], n[1])))
