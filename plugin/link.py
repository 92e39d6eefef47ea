"""A container's namespace and addresses in, a veth pair in Calico's way out; the only user of pyroute2.

pyroute2 encodes, a plain socket sends: all messages for one namespace go in one system call.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EEXIST, ENODEV
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET6, if_nametoindex
from typing import Any

from calico_rkt.compiler.conf import Address, Net
from calico_rkt.plugin import forwarding, linkstate, netlink
from calico_rkt.plugin.netlink import NetlinkError
from calico_rkt.plugin.netns import Netns, run_in
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store.protocol import Key

HOST_MAC = "ee:ee:ee:ee:ee:ee"
"""Every host end's MAC, as Felix gives it: a container may move, its gateway's neighbour entry stays right."""

GATEWAYS: dict[int, Address] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::ecee:eeff:feee:eeee")}
"""What a container's default route goes through; the IPv6 one is the host end's own address, made of HOST_MAC."""

_LONGEST_ALIAS = 255
_SMALLEST_MTU = {4: 68, 6: 1280}
_USUAL_MTU = 1500
_FAR_AWAY: tuple[Address, ...] = (IPv4Address("198.51.100.1"), IPv6Address("2001:db8::1"))
_NODAD, _PERMANENT, _ON_LINK, _SCOPE_LINK = 0x2, 0x80, 4, 253
_IFLA_GROUP, _DELLINK, _SETLINK = 27, 17, 19


@dataclass(frozen=True, slots=True)
class Link:
    """One veth pair: the host's end by name and index, the container's by name, MAC and addresses; mtu in bytes."""

    host_ifname: str
    host_index: int
    ifname: str
    mac: str
    mtu: int
    addresses: tuple[Address, ...]
    routes: tuple[Net, ...] = ()
    host_mac: str = HOST_MAC


def host_ifname(key: Key) -> str:
    """The host end's name: `crk` and 12 hex digits that depend on network, container and interface together."""
    joined = json.dumps([key.network, key.container, key.ifname]).encode()
    return linkstate.PREFIX + hashlib.sha256(joined).hexdigest()[:12]


def alias_of(key: Key, nonce: str) -> str:
    """What the kernel keeps with the host end: whose it is; a long key is cut at 255 bytes, the nonce never."""
    full = f"{linkstate.ALIAS} {nonce} {key.ifname} {key.network} {key.container}"
    return full.encode()[:_LONGEST_ALIAS].decode(errors="ignore")


def new_mac() -> str:
    """A random unicast MAC of the locally administered kind."""
    first, *rest = secrets.token_bytes(6)
    return bytes([(first & 0xFC) | 0x02, *rest]).hex(":")


def create(
    netns: Netns,
    key: Key,
    nonce: str,
    addresses: Sequence[Address],
    *,
    mtu: int = 0,
    routes: Sequence[Net] = (),
    mac: str = "",
    host_name: str = "",
) -> Link:
    """Make the pair, the host end down, all inside the container ready; undone as a whole when a step fails.

    mtu 0 is that of the interface the host's default route uses, or 1500. routes lead through the same
    gateway as the default route, which is there in any case. CniError 104 when either name exists already (and
    stays as it was) or when another interface has a route of the host to one of the addresses.
    """
    name = host_name or host_ifname(key)
    with netlink.Socket() as host:
        _refuse_taken(host, name, addresses)
        link = Link(
            host_ifname=name,
            host_index=0,
            ifname=key.ifname,
            mac=(mac or new_mac()).lower(),
            mtu=_mtu(host, mtu, addresses),
            addresses=tuple(addresses),
            routes=tuple(routes),
        )
        _check_mac(link.mac)
        _make_pair(host, netns, link, alias_of(key, nonce))
        try:
            run_in(netns, lambda: _furnish(link))
            found = linkstate.interface(host, name)
            if found is None:
                raise CniError(Code.LINK, f"{name} went away while it was set up")
        except BaseException as e:
            _drop(host, name, nonce)
            raise _as_cni_error(e, f"{key.ifname} in {netns.path} can't be set up") from e
    return Link(name, found.index, link.ifname, link.mac, link.mtu, link.addresses, link.routes)


def bring_up(link: Link) -> None:
    """Bring the host end up and route its addresses to it; the last step of an attachment. Repeating it is fine."""
    versions = {a.version for a in link.addresses}
    forwarding.enable(link.host_ifname, versions)
    index = link.host_index
    batch = _batch()
    batch.link("set", index=index, state="up")
    if 6 in versions:
        batch.addr("replace", index=index, address=str(GATEWAYS[6]), prefixlen=64, family=AF_INET6, flags=_NODAD)
    for address in link.addresses:
        batch.neigh("replace", dst=str(address), lladdr=link.mac, ifindex=index, state=_PERMANENT)
        # "replace" would take over a route of somebody else's, so EEXIST is looked at below.
        batch.route("add", **_destination(ip_network(address)), oif=index, scope=_SCOPE_LINK)
    with netlink.Socket() as host:
        for error in host.batch(batch.batch):
            if error is None:
                continue
            if error.errno != EEXIST:
                raise _as_cni_error(error, f"{link.host_ifname} can't be brought up")
            for address in link.addresses:
                route = linkstate.route_to(host, address)
                if route is None or route.index != index:
                    raise CniError(Code.LINK, f"the host has a route to {address} already, not by {link.host_ifname}")


def delete(host_ifname: str, nonce: str) -> bool:
    """Remove the pair when its host end carries this nonce; False when it is missing or another's."""
    return bool(delete_all([(host_ifname, nonce)]))


def delete_all(ends: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Remove every pair (host end's name, nonce) that is still the one meant; returns the names of those removed.

    The kernel waits some 25 ms for each removal, for a whole link group only once.
    """
    with netlink.Socket() as host:
        found = {}
        for name, nonce in ends:
            link = linkstate.interface(host, name)
            if nonce and link is not None and link.nonce == nonce:
                found[link.index] = name
        try:
            if len(found) == 1:
                host.do(_ifinfomsg(_DELLINK, next(iter(found))))
            elif found:
                _delete_group(host, tuple(found))
        except NetlinkError as e:
            if e.errno != ENODEV:
                raise _as_cni_error(e, f"{', '.join(found.values())} can't be removed") from e
    return tuple(found.values())


def delete_inside(netns: Netns, ifname: str, mac: str) -> bool:
    """Remove the container's end, where the host end can't be found, when it is the veth with that MAC."""

    def there() -> bool:
        with netlink.Socket() as socket:
            found = linkstate.interface(socket, ifname)
            if found is None or found.kind != "veth" or found.mac != mac.lower():
                return False
            socket.do(_ifinfomsg(_DELLINK, found.index))
            return True

    try:
        return run_in(netns, there)
    except NetlinkError as e:
        raise _as_cni_error(e, f"{ifname} in {netns.path} can't be removed") from e


def default_mtu(host: netlink.Socket) -> int:
    """The MTU of the interface that the host's default route uses, 1500 on a host without one."""
    for address in _FAR_AWAY:
        route = linkstate.route_to(host, address)
        if route is not None and route.index and not route.destination.prefixlen:
            return linkstate.interface_at(host, route.index).mtu
    return _USUAL_MTU


def _mtu(host: netlink.Socket, mtu: int, addresses: Sequence[Address]) -> int:
    smallest = max(_SMALLEST_MTU[a.version] for a in addresses)
    if mtu and mtu < smallest:
        raise CniError(Code.INVALID_CONF, f"mtu {mtu} is too small: the network's addresses need {smallest}")
    return mtu or max(default_mtu(host), smallest)


def _check_mac(mac: str) -> None:
    first = int(mac[:2], 16)
    if first & 1 or mac in (HOST_MAC, "00:00:00:00:00:00"):
        raise CniError(Code.INVALID_ENVIRONMENT, f"{mac} can't be the MAC of a container's interface")


def _refuse_taken(host: netlink.Socket, name: str, addresses: Sequence[Address]) -> None:
    if linkstate.interface(host, name) is not None:
        raise CniError(Code.LINK, f"the host has an interface {name} already")
    for address in addresses:
        route = linkstate.route_to(host, address)
        if route is not None and route.destination.prefixlen == address.max_prefixlen:
            what = "a route to" if route.unicast else "the address"
            raise CniError(Code.LINK, f"the host has {what} {address} already")


def _make_pair(host: netlink.Socket, netns: Netns, link: Link, alias: str) -> None:
    """The pair and its alias in one system call: nothing of ours is ever there without saying whose it is."""
    batch = _batch()
    peer = {"ifname": link.ifname, "net_ns_fd": netns.fd, "address": link.mac, "mtu": link.mtu}
    batch.link("add", ifname=link.host_ifname, kind="veth", address=HOST_MAC, mtu=link.mtu, peer=peer)
    batch.link("set", ifname=link.host_ifname, ifalias=alias)
    made, named = host.batch(batch.batch)
    if made is not None:
        if made.errno == EEXIST:
            raise CniError(Code.LINK, f"{netns.path} has an interface {link.ifname} already") from made
        raise _as_cni_error(made, f"the pair {link.host_ifname}, {link.ifname} can't be made")
    if named is not None:
        host.do(_ifinfomsg(_DELLINK, if_nametoindex(link.host_ifname)))
        raise _as_cni_error(named, f"{link.host_ifname} can't be named")


def _furnish(link: Link) -> None:
    """Inside the container: up, addresses, neighbours, routes. Runs in a thread of that namespace."""
    versions = sorted({a.version for a in link.addresses})
    if 6 in versions:
        forwarding.enable_ipv6_inside(link.ifname)
    index = if_nametoindex(link.ifname)
    batch = _batch()
    batch.link("set", index=index, state="up")
    for address in link.addresses:
        flags = {"flags": _NODAD} if address.version == 6 else {}
        batch.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen, **flags)
    for version in versions:
        gateway = str(GATEWAYS[version])
        batch.neigh("add", dst=gateway, lladdr=HOST_MAC, ifindex=index, state=_PERMANENT)
        if version == 4:
            batch.route("add", dst=f"{gateway}/32", oif=index, scope=_SCOPE_LINK)
    for destination in routes_inside(versions, link.routes):
        gateway = str(GATEWAYS[destination.version])
        batch.route("add", **_destination(destination), gateway=gateway, oif=index, flags=_ON_LINK)
    with netlink.Socket() as socket:
        socket.do(batch.batch)


def routes_inside(versions: Iterable[int], routes: Sequence[Net]) -> tuple[Net, ...]:
    """The destinations of a container's routes: default ones first, then the conf's of the families it has."""
    served = sorted(set(versions))
    defaults = [ip_network("0.0.0.0/0" if v == 4 else "::/0") for v in served]
    return tuple(dict.fromkeys([*defaults, *(r for r in routes if r.version in served)]))


def _destination(net: Net) -> dict[str, Any]:
    """pyroute2 takes a default route as no destination at all."""
    family = {"family": AF_INET6} if net.version == 6 else {}
    return {"dst": str(net), **family} if net.prefixlen else {"dst": "default", **family}


def _delete_group(host: netlink.Socket, indexes: tuple[int, ...]) -> None:
    """Gather links into a group of their own and remove it; random, since other groups are somebody's."""
    group = netlink.attribute(_IFLA_GROUP, (secrets.randbits(31) | 1 << 30).to_bytes(4, sys.byteorder))
    for batch in netlink.chunks(_ifinfomsg(_SETLINK, index, group) for index in indexes):
        host.batch(batch)
    host.do(_ifinfomsg(_DELLINK, 0, group))


def _drop(host: netlink.Socket, name: str, nonce: str) -> None:
    """Undo _make_pair; the error that led here is the one to report."""
    found = linkstate.interface(host, name)
    if found is not None and found.nonce == nonce:
        host.batch(_ifinfomsg(_DELLINK, found.index))


def _ifinfomsg(kind: int, index: int, attributes: bytes = b"") -> bytes:
    body = b"\0" * 4 + index.to_bytes(4, sys.byteorder) + b"\0" * 8
    return netlink.message(kind, netlink.REQUEST, body + attributes)


def _batch() -> Any:  # noqa: ANN401 - pyroute2 has no types
    from pyroute2.iproute.linux import IPBatch

    return IPBatch()


def _as_cni_error(error: BaseException, what: str) -> BaseException:
    if isinstance(error, OSError):
        return CniError(Code.LINK, f"{what}: {error.strerror}")
    return error
