"""A link's names and addresses in, batches of encoded netlink messages out.

Every message is what pyroute2 encodes for the same request, byte for byte: tests/unit/plugin/link/test_messages.py. It
is not used here: importing it takes longer than all the rest of a one-shot ADD, encoding longer than the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET6

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.encoding import (
    ASK,
    FAMILIES,
    IFF_NOARP,
    IFF_UP,
    MAIN,
    NEW,
    NEWLINK,
    NEWROUTE,
    RTA_DST,
    RTA_PRIORITY,
    STATIC,
    encode_address,
    encode_family,
    encode_link,
    encode_link_head,
    encode_mac,
    encode_neighbour,
    encode_route,
    encode_rule,
    encode_text,
    encode_up,
    encode_way_to,
)
from calico_rkt.plugin.link.netlink import CREATE, REPLACE, attribute
from calico_rkt.plugin.link.netlink import number as _number
from calico_rkt.plugin.process.kept import kept

HOST_MAC = "ee:ee:ee:ee:ee:ee"
"""Every host end's MAC, as Felix gives it: a container may move, its gateway's neighbour entry stays right."""

GATEWAYS: dict[int, Address] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::ecee:eeff:feee:eeee")}
"""What a container's default route goes through; the IPv6 one is the host end's own address, made of HOST_MAC."""

_DELLINK, _SETLINK, _DELROUTE, _DELRULE = 17, 19, 25, 33
# linux/if_link.h, rtnetlink.h, neighbour.h
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_IFALIAS = 1, 3, 4, 18, 20
_IFLA_MASTER = 10
_IFLA_GROUP, _IFLA_NET_NS_FD, _IFLA_NUM_TX_QUEUES, _IFLA_NUM_RX_QUEUES = 27, 28, 31, 32
_IFLA_INET6_ADDR_GEN_MODE = 8
_FORWARDING, _RP_FILTER, _ARP_NOTIFY = 1, 8, 22
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_STALE, _PROXY, _LEARNT, _LOOPBACK = 0x4, 0x8, 0x10, 1
_UNREACHABLE, _WORST_METRIC = 7, (1 << 32) - 1


def pair(name: bytes, ifname: str, mac: bytes, netns_fd: bytes, mtu: bytes, group: bytes, alias: bytes) -> bytes:
    """Two messages: make the pair, the peer born in the container's namespace; give the host end its alias.

    name is the host end's, and group is its from its birth; the container's end is in none. Numbers are packed as the
    kernel has them.

    Both ends have one queue each way, as Calico's plugin gives them: a veth needs none, and the kernel's default of
    one for each processor has to be made, too.
    """
    queues = _number(_IFLA_NUM_TX_QUEUES, 1) + _number(_IFLA_NUM_RX_QUEUES, 1)
    peer = (
        encode_text(_IFLA_IFNAME, ifname)
        + attribute(_IFLA_NET_NS_FD, netns_fd)
        + attribute(_IFLA_ADDRESS, mac)
        + attribute(_IFLA_MTU, mtu)
        + queues
    )
    made = (
        attribute(_IFLA_IFNAME, name + b"\0")
        + encode_mac(_IFLA_ADDRESS, HOST_MAC)
        + attribute(_IFLA_MTU, mtu)
        + attribute(_IFLA_GROUP, group)
        + queues
        + attribute(
            _IFLA_LINKINFO,
            encode_text(_INFO_KIND, "veth") + attribute(_INFO_DATA, attribute(_VETH_PEER, encode_link_head() + peer)),
        )
    )
    named = attribute(_IFLA_IFNAME, name + b"\0") + attribute(_IFLA_IFALIAS, alias + b"\0")
    return encode_link(NEWLINK, made, flags=NEW) + encode_link(NEWLINK, named)


def silent(index: int) -> bytes:
    """No IPv6 address of a link's own accord, which would go through duplicate address detection."""
    return encode_link(_SETLINK, encode_family(AF_INET6, attribute(_IFLA_INET6_ADDR_GEN_MODE, b"\1")), index=index)


def inside(
    index: int,
    addresses: Sequence[Address],
    routes: Sequence[Net],
    metric: int = 0,
    gateways: Mapping[int, Address] = GATEWAYS,
    table: int = 0,
) -> bytes:
    """The container's end: up, addresses, permanent neighbours, routes. The destinations come from routes_inside().

    metric, 0 for the kernel's own, keeps the routes of a container's second network apart from those of its first,
    whoever made that. Then it has a table of its own, too: what leaves with its addresses has to leave by its
    interface, since the host drops other networks' sources there. Any address will do as a gateway: its neighbour
    entry is permanent. Whoever changes the MAC takes that entry away: the host's end hears of the new MAC at once, and
    answers for the gateway.

    Without an IPv6 address of ours the first message is silent(), which is refused where there is no IPv6 at all.
    """
    versions = sorted({a.version for a in addresses})
    batch = [
        *(() if 6 in versions else (silent(index),)),
        encode_up(index, {_ARP_NOTIFY: 1} if 4 in versions else {}),
        *(encode_address(index, a, a.max_prefixlen) for a in addresses),
    ]
    for version in versions:
        gateway = gateways[version]
        batch.append(encode_neighbour(index, gateway, HOST_MAC, NEW))
        if version == 4:
            batch.append(encode_way_to(gateway, index, metric))
    for destination in routes:
        gateway = gateways[destination.version]
        batch.append(encode_route(destination, index, gateway, metric=metric))
        if table and not destination.prefixlen:
            batch.append(encode_route(destination, index, gateway, table=table))
    batch += [encode_rule(address, table) for address in addresses if table]
    return b"".join(batch)


def outside(index: int, mac: str, addresses: Sequence[Address]) -> bytes:
    """The host's end: up, IPv6's gateway, an answer for IPv4's, and for each address a neighbour and a route.

    Of IPv6 it has no other address: one of its own accord would go through duplicate address detection.
    The neighbours are what the kernel would have learnt, and are learnt anew when the MAC is another one later; those
    marked so count for no limit. rp_filter: the kernel keeps a neighbour for each sender of an ARP request whose way
    back is by this interface, so with this for the endpoint's own addresses only, however many a container asks with.
    A route that exists is answered with EEXIST: "replace" would take over somebody else's.
    """
    versions = {a.version for a in addresses}
    batch = [silent(index)] if 6 in versions else []
    batch.append(encode_up(index, {_FORWARDING: 1, _RP_FILTER: 1} if 4 in versions else {}))
    if 4 in versions:
        batch.append(encode_neighbour(index, GATEWAYS[4], "", CREATE | REPLACE, flags=_PROXY))
    if 6 in versions:
        batch.append(encode_address(index, GATEWAYS[6], 64, CREATE | REPLACE))
    for address in addresses:
        batch.append(encode_neighbour(index, address, mac, CREATE | REPLACE, _STALE, _LEARNT))
        batch.append(encode_way_to(address, index))
    return b"".join(batch)


def answerable(gateway: Address) -> bytes:
    """A route of the host to a gateway, by its loopback: without any the kernel answers nobody who asks for it."""
    return encode_way_to(gateway, _LOOPBACK, _WORST_METRIC)


def alone(address: Address) -> Net:
    """The network of one address."""
    return ip_network(address)


def rules_gone(rules: Iterable[tuple[Address, int]]) -> bytes:
    """Take away rules that inside() made."""
    return b"".join(encode_rule(address, table, _DELRULE, 0) for address, table in rules)


def routes_inside(versions: Iterable[int], routes: Sequence[Net]) -> tuple[Net, ...]:
    """The destinations of a container's routes: default ones first, then the conf's of the families it has."""
    return _routes_inside(routes)[tuple(sorted(set(versions)))]


@kept
def _routes_inside(routes: Sequence[Net]) -> dict[tuple[int, ...], tuple[Net, ...]]:
    """The same by the families that are served."""
    return {
        served: tuple(dict.fromkeys([*(_DEFAULTS[v] for v in served), *(r for r in routes if r.version in served)]))
        for served in ((), (4,), (6,), (4, 6))
    }


_DEFAULTS: dict[int, Net] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def unreachable_route(net: Net, *, add: bool) -> bytes:
    """Add or remove the route that says, where nobody has a better one, that nobody is there."""
    head = struct.pack("=BBBBBBBBI", FAMILIES[net.version], net.prefixlen, 0, 0, MAIN, STATIC, 0, _UNREACHABLE, 0)
    body = attribute(RTA_DST, net.network_address.packed) if net.prefixlen else b""
    kind, flags = (NEWROUTE, ASK | NEW) if add else (_DELROUTE, ASK)
    return netlink.message(kind, flags, head + body + _number(RTA_PRIORITY, _WORST_METRIC))


def removal(index: int) -> bytes:
    """Remove a link; the other end of a pair goes with it."""
    return encode_link(_DELLINK, index=index)


def renaming(index: int, name: str) -> bytes:
    """Give a link another name; some kernels want it down for that."""
    return encode_link(_SETLINK, encode_text(_IFLA_IFNAME, name), index=index)


def down(index: int) -> bytes:
    """Take a link down; its routes and neighbours go with that."""
    return netlink.message(NEWLINK, ASK, struct.pack("=4xiII", index, 0, IFF_UP))


def asking(index: int) -> bytes:
    """Have a link ask for neighbours again."""
    return netlink.message(NEWLINK, ASK, struct.pack("=4xiII", index, 0, IFF_NOARP))


def addressed(index: int, mac: str) -> bytes:
    """Give a link another MAC."""
    return encode_link(_SETLINK, encode_mac(_IFLA_ADDRESS, mac), index=index)


def joining(index: int, group: int) -> bytes:
    """Put a link into a group."""
    return encode_link(_SETLINK, _number(_IFLA_GROUP, group), index=index)


def mastered(index: int, master: int) -> bytes:
    """Make a link a port of a bridge or the like; 0 makes it nobody's."""
    return encode_link(_SETLINK, _number(_IFLA_MASTER, master), index=index)


def group_removal(group: int) -> bytes:
    """Remove every link of a group."""
    return encode_link(_DELLINK, _number(_IFLA_GROUP, group))
