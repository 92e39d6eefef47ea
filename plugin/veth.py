"""A link's names and addresses in, batches of encoded netlink messages out; the only user of pyroute2.

pyroute2 encodes and a plain socket sends, so all messages for one namespace go in one system call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET6
from typing import Any

from calico_rkt.compiler.conf import Address, Net
from calico_rkt.plugin import netlink

HOST_MAC = "ee:ee:ee:ee:ee:ee"
"""Every host end's MAC, as Felix gives it: a container may move, its gateway's neighbour entry stays right."""

GATEWAYS: dict[int, Address] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::ecee:eeff:feee:eeee")}
"""What a container's default route goes through; the IPv6 one is the host end's own address, made of HOST_MAC."""

_NODAD, _PERMANENT, _ON_LINK, _SCOPE_LINK = 0x2, 0x80, 4, 253
_IFLA_GROUP, _DELLINK, _SETLINK = 27, 17, 19


def pair(host_ifname: str, ifname: str, netns_fd: int, mac: str, mtu: int, alias: str) -> bytes:
    """Two messages: make the pair, the peer born in the container's namespace; give the host end its alias."""
    batch = _batch()
    peer = {"ifname": ifname, "net_ns_fd": netns_fd, "address": mac, "mtu": mtu}
    batch.link("add", ifname=host_ifname, kind="veth", address=HOST_MAC, mtu=mtu, peer=peer)
    batch.link("set", ifname=host_ifname, ifalias=alias)
    return bytes(batch.batch)


def inside(index: int, addresses: Sequence[Address], routes: Sequence[Net], metric: int = 0) -> bytes:
    """The container's end: up, addresses, permanent neighbours, routes. The destinations come from routes_inside().

    metric, 0 for the kernel's own, keeps the routes of a container's second network apart from those of its first,
    and is the number of a table of its own: what leaves with its addresses has to leave by its interface, since
    the host drops other networks' sources there.
    """
    priority = {"priority": metric} if metric else {}
    versions = sorted({a.version for a in addresses})
    batch = _batch()
    batch.link("set", index=index, state="up")
    for address in addresses:
        flags = {"flags": _NODAD} if address.version == 6 else {}
        batch.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen, **flags)
    for version in versions:
        gateway = str(GATEWAYS[version])
        batch.neigh("add", dst=gateway, lladdr=HOST_MAC, ifindex=index, state=_PERMANENT)
        if version == 4:
            batch.route("add", dst=f"{gateway}/32", oif=index, scope=_SCOPE_LINK, **priority)
    for destination in routes:
        gateway = str(GATEWAYS[destination.version])
        batch.route("add", **_destination(destination), gateway=gateway, oif=index, flags=_ON_LINK, **priority)
        if metric and not destination.prefixlen:
            batch.route("add", **_destination(destination), gateway=gateway, oif=index, flags=_ON_LINK, table=metric)
    for address in addresses if metric else ():
        batch.rule("add", src=str(address), src_len=address.max_prefixlen, table=metric, priority=metric)
    return bytes(batch.batch)


def outside(index: int, mac: str, addresses: Sequence[Address]) -> bytes:
    """The host's end: up, IPv6's gateway, and for each address a permanent neighbour and a route.

    A route that exists is answered with EEXIST: "replace" would take over somebody else's.
    """
    batch = _batch()
    batch.link("set", index=index, state="up")
    if any(a.version == 6 for a in addresses):
        batch.addr("replace", index=index, address=str(GATEWAYS[6]), prefixlen=64, family=AF_INET6, flags=_NODAD)
    for address in addresses:
        batch.neigh("replace", dst=str(address), lladdr=mac, ifindex=index, state=_PERMANENT)
        batch.route("add", **_destination(ip_network(address)), oif=index, scope=_SCOPE_LINK)
    return bytes(batch.batch)


def routes_inside(versions: Iterable[int], routes: Sequence[Net]) -> tuple[Net, ...]:
    """The destinations of a container's routes: default ones first, then the conf's of the families it has."""
    served = sorted(set(versions))
    defaults = [ip_network("0.0.0.0/0" if v == 4 else "::/0") for v in served]
    return tuple(dict.fromkeys([*defaults, *(r for r in routes if r.version in served)]))


def removal(index: int) -> bytes:
    """Remove a link; the other end of a pair goes with it."""
    return _ifinfomsg(_DELLINK, index)


def joining(index: int, group: int) -> bytes:
    """Put a link into a group."""
    return _ifinfomsg(_SETLINK, index, _group(group))


def group_removal(group: int) -> bytes:
    """Remove every link of a group."""
    return _ifinfomsg(_DELLINK, 0, _group(group))


def _destination(net: Net) -> dict[str, Any]:
    """pyroute2 wants a default route by that name, and its family where no address shows it."""
    family = {"family": AF_INET6} if net.version == 6 else {}
    return {"dst": str(net) if net.prefixlen else "default", **family}


def _group(group: int) -> bytes:
    return netlink.attribute(_IFLA_GROUP, group.to_bytes(4, sys.byteorder))


def _ifinfomsg(kind: int, index: int, attributes: bytes = b"") -> bytes:
    body = b"\0" * 4 + index.to_bytes(4, sys.byteorder) + b"\0" * 8
    return netlink.message(kind, netlink.REQUEST, body + attributes)


def _batch() -> Any:  # noqa: ANN401 - pyroute2 has no types
    # Here and not above: it takes 150 ms, which VERSION and a refused conf must not pay.
    from pyroute2.iproute.linux import IPBatch

    return IPBatch()
