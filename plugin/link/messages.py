"""A link's names and addresses in, batches of encoded netlink messages out.

Every message is what pyroute2 encodes for the same request, byte for byte: tests/unit/plugin/link/test_messages.py. It
is not used here: importing it takes longer than all the rest of a one-shot ADD, encoding longer than the kernel.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET, AF_INET6
from types import MappingProxyType

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import CREATE, EXCL, REPLACE, attribute
from calico_rkt.plugin.link.netlink import number as _number
from calico_rkt.plugin.link.shapes import Shapes
from calico_rkt.plugin.process.kept import kept

HOST_MAC = "ee:ee:ee:ee:ee:ee"
"""Every host end's MAC, as Felix gives it: a container may move, its gateway's neighbour entry stays right."""

GATEWAYS: dict[int, Address] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::ecee:eeff:feee:eeee")}
"""What a container's default route goes through; the IPv6 one is the host end's own address, made of HOST_MAC."""

_NEWLINK, _DELLINK, _SETLINK, _NEWADDR, _NEWROUTE, _DELROUTE, _NEWNEIGH = 16, 17, 19, 20, 24, 25, 28
_NEWRULE, _DELRULE = 32, 33
# linux/if_link.h, if_addr.h, rtnetlink.h, neighbour.h, fib_rules.h
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_IFALIAS = 1, 3, 4, 18, 20
_IFLA_AF_SPEC, _IFLA_GROUP, _IFLA_NET_NS_FD, _IFLA_NUM_TX_QUEUES, _IFLA_NUM_RX_QUEUES = 26, 27, 28, 31, 32
_IFLA_INET_CONF, _IFLA_INET6_ADDR_GEN_MODE = 1, 8
_FORWARDING, _RP_FILTER, _ARP_NOTIFY = 1, 8, 22
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_FRA_SRC, _FRA_PRIORITY, _FRA_TABLE = 2, 6, 15
_IFF_UP, _NODAD, _PERMANENT, _STALE, _ON_LINK = 1, 0x2, 0x80, 0x4, 4
_PROXY, _LEARNT, _LOOPBACK = 0x8, 0x10, 1
_MAIN, _IN_ATTRIBUTE, _STATIC, _UNICAST, _TO_TABLE = 254, 252, 4, 1, 1
_UNIVERSE, _SCOPE_LINK = 0, 253
_UNREACHABLE, _WORST_METRIC = 7, (1 << 32) - 1
_FAMILIES = {4: AF_INET, 6: AF_INET6}
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_PAIRS, _INSIDES, _OUTSIDES = Shapes(), Shapes(), Shapes()
_ASK, _NEW = netlink.REQUEST | netlink.ACK, CREATE | EXCL


def pair(host_ifname: str, ifname: str, netns_fd: int, mac: str, mtu: int, alias: str) -> bytes:
    """Two messages: make the pair, the peer born in the container's namespace; give the host end its alias.

    Both ends have one queue each way, as Calico's plugin gives them: a veth needs none, and the kernel's default of
    one for each processor has to be made, too.
    """

    def encode(values: Sequence[bytes]) -> bytes:
        name, own, *numbers = values
        return _pair(name, ifname, own, *numbers)

    name, own = host_ifname.encode(), bytes.fromhex(mac.replace(":", ""))
    numbers = (n.to_bytes(4, sys.byteorder) for n in (netns_fd, mtu))
    made = _PAIRS.encoded((len(name), ifname), encode, [name, own, *numbers])
    return made + _link(_NEWLINK, _text(_IFLA_IFNAME, host_ifname) + _text(_IFLA_IFALIAS, alias))


def _pair(name: bytes, ifname: str, mac: bytes, netns_fd: bytes, mtu: bytes) -> bytes:
    queues = _number(_IFLA_NUM_TX_QUEUES, 1) + _number(_IFLA_NUM_RX_QUEUES, 1)
    peer = (
        _text(_IFLA_IFNAME, ifname)
        + attribute(_IFLA_NET_NS_FD, netns_fd)
        + attribute(_IFLA_ADDRESS, mac)
        + attribute(_IFLA_MTU, mtu)
        + queues
    )
    made = (
        attribute(_IFLA_IFNAME, name + b"\0")
        + _mac(_IFLA_ADDRESS, HOST_MAC)
        + attribute(_IFLA_MTU, mtu)
        + queues
        + attribute(
            _IFLA_LINKINFO,
            _text(_INFO_KIND, "veth") + attribute(_INFO_DATA, attribute(_VETH_PEER, _link_head() + peer)),
        )
    )
    return _link(_NEWLINK, made, flags=_NEW)


def silent(index: int) -> bytes:
    """No IPv6 address of a link's own accord, which would go through duplicate address detection."""
    return _link(_SETLINK, _family(AF_INET6, attribute(_IFLA_INET6_ADDR_GEN_MODE, b"\1")), index=index)


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
    """
    if metric or table:
        return _inside(index, addresses, routes, metric, gateways, table)
    versions = tuple([a.version for a in addresses])

    def encode(values: Sequence[bytes]) -> bytes:
        number, *packed = values
        return _inside(_index(number), _read(versions, packed), routes, 0, gateways, 0)

    values = [index.to_bytes(4, sys.byteorder), *[a.packed for a in addresses]]
    return _INSIDES.encoded((versions, _words(routes), gateways[4].packed, gateways[6].packed), encode, values)


def _inside(
    index: int,
    addresses: Sequence[Address],
    routes: Sequence[Net],
    metric: int,
    gateways: Mapping[int, Address],
    table: int,
) -> bytes:
    versions = sorted({a.version for a in addresses})
    batch = [
        _up(index, {_ARP_NOTIFY: 1} if 4 in versions else {}),
        *(_address(index, a, a.max_prefixlen) for a in addresses),
    ]
    for version in versions:
        gateway = gateways[version]
        batch.append(_neighbour(index, gateway, HOST_MAC, _NEW))
        if version == 4:
            batch.append(_way_to(gateway, index, metric))
    for destination in routes:
        gateway = gateways[destination.version]
        batch.append(_route(destination, index, gateway, metric=metric))
        if table and not destination.prefixlen:
            batch.append(_route(destination, index, gateway, table=table))
    batch += [_rule(address, table) for address in addresses if table]
    return b"".join(batch)


def outside(index: int, mac: str, addresses: Sequence[Address]) -> bytes:
    """The host's end: up, IPv6's gateway, an answer for IPv4's, and for each address a neighbour and a route.

    The neighbours are what the kernel would have learnt, and are learnt anew when the MAC is another one later; those
    marked so count for no limit. rp_filter: the kernel keeps a neighbour for each sender of an ARP request whose way
    back is by this interface, so with this for the endpoint's own addresses only, however many a container asks with.
    A route that exists is answered with EEXIST: "replace" would take over somebody else's.
    """
    versions = tuple([a.version for a in addresses])

    def encode(values: Sequence[bytes]) -> bytes:
        number, own, *packed = values
        return _outside(_index(number), own.hex(":"), _read(versions, packed))

    values = [index.to_bytes(4, sys.byteorder), bytes.fromhex(mac.replace(":", "")), *[a.packed for a in addresses]]
    return _OUTSIDES.encoded(versions, encode, values)


def _outside(index: int, mac: str, addresses: Sequence[Address]) -> bytes:
    versions = {a.version for a in addresses}
    batch = [_up(index, {_FORWARDING: 1, _RP_FILTER: 1} if 4 in versions else {})]
    if 4 in versions:
        batch.append(_neighbour(index, GATEWAYS[4], "", CREATE | REPLACE, flags=_PROXY))
    if 6 in versions:
        batch.append(_address(index, GATEWAYS[6], 64, CREATE | REPLACE))
    for address in addresses:
        batch.append(_neighbour(index, address, mac, CREATE | REPLACE, _STALE, _LEARNT))
        batch.append(_way_to(address, index))
    return b"".join(batch)


def _index(packed: bytes) -> int:
    return int.from_bytes(packed, sys.byteorder)


def _read(versions: Sequence[int], packed: Sequence[bytes]) -> list[Address]:
    return [IPv4Address(p) if v == 4 else IPv6Address(p) for v, p in zip(versions, packed, strict=True)]


def answerable(gateway: Address) -> bytes:
    """A route of the host to a gateway, by its loopback: without any the kernel answers nobody who asks for it."""
    return _way_to(gateway, _LOOPBACK, _WORST_METRIC)


def alone(address: Address) -> Net:
    """The network of one address."""
    return ip_network(address)


def rules_gone(rules: Iterable[tuple[Address, int]]) -> bytes:
    """Take away rules that inside() made."""
    return b"".join(_rule(address, table, _DELRULE, 0) for address, table in rules)


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


@kept
def _words(routes: Sequence[Net]) -> str:
    return " ".join(map(str, routes))


_DEFAULTS: dict[int, Net] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def unreachable_route(net: Net, *, add: bool) -> bytes:
    """Add or remove the route that says, where nobody has a better one, that nobody is there."""
    head = struct.pack("=BBBBBBBBI", _FAMILIES[net.version], net.prefixlen, 0, 0, _MAIN, _STATIC, 0, _UNREACHABLE, 0)
    body = attribute(_RTA_DST, net.network_address.packed) if net.prefixlen else b""
    kind, flags = (_NEWROUTE, _ASK | _NEW) if add else (_DELROUTE, _ASK)
    return netlink.message(kind, flags, head + body + _number(_RTA_PRIORITY, _WORST_METRIC))


def removal(index: int) -> bytes:
    """Remove a link; the other end of a pair goes with it."""
    return _link(_DELLINK, index=index)


def renaming(index: int, name: str) -> bytes:
    """Give a link another name; some kernels want it down for that."""
    return _link(_SETLINK, _text(_IFLA_IFNAME, name), index=index)


def down(index: int) -> bytes:
    """Take a link down; its routes and neighbours go with that."""
    return netlink.message(_NEWLINK, _ASK, struct.pack("=4xiII", index, 0, _IFF_UP))


def addressed(index: int, mac: str) -> bytes:
    """Give a link another MAC."""
    return _link(_SETLINK, _mac(_IFLA_ADDRESS, mac), index=index)


def joining(index: int, group: int) -> bytes:
    """Put a link into a group."""
    return _link(_SETLINK, _number(_IFLA_GROUP, group), index=index)


def group_removal(group: int) -> bytes:
    """Remove every link of a group."""
    return _link(_DELLINK, _number(_IFLA_GROUP, group))


def _up(index: int, ipv4: Mapping[int, int] = MappingProxyType({})) -> bytes:
    """Up, after sysctls of its IPv4 (linux/ip.h): by a message, since /proc/sys may be read-only, and takes longer.

    Two messages: sysctls that change on a link which is up already are told to everybody, and where its other end is
    down the kernel then walks through the neighbours of all namespaces: a millisecond at 8,000 endpoints.
    """
    sysctls = b"".join(_number(kind, value) for kind, value in ipv4.items())
    spec = _family(AF_INET, attribute(_IFLA_INET_CONF, sysctls, nested=True))
    return (_link(_NEWLINK, spec, index=index) if ipv4 else b"") + _link(_NEWLINK, index=index, state=_IFF_UP)


def _family(family: int, settings: bytes) -> bytes:
    return attribute(_IFLA_AF_SPEC, attribute(family, settings, nested=True), nested=True)


def _link(kind: int, attributes: bytes = b"", *, index: int = 0, state: int = 0, flags: int = 0) -> bytes:
    return netlink.message(kind, _ASK | flags, _link_head(index, state) + attributes)


def _link_head(index: int = 0, state: int = 0) -> bytes:
    """ifinfomsg; the state is set and masked alike, so that nothing but it changes."""
    return struct.pack("=4xiII", index, state, state)


def _address(index: int, address: Address, bits: int, flags: int = _NEW) -> bytes:
    """IPv6 without duplicate address detection: nobody else can have the address on this link."""
    four = address.version == 4
    head = struct.pack("=BBBBI", _FAMILIES[address.version], bits, 0, _UNIVERSE, index)
    own = attribute(_IFA_LOCAL, address.packed) if four else _number(_IFA_FLAGS, _NODAD)
    return netlink.message(_NEWADDR, _ASK | flags, head + attribute(_IFA_ADDRESS, address.packed) + own)


def _neighbour(index: int, address: Address, mac: str, how: int, state: int = _PERMANENT, flags: int = 0) -> bytes:
    head = struct.pack("=BxxxiHBB", _FAMILIES[address.version], index, state, flags, 0)
    body = head + attribute(_NDA_DST, address.packed) + (_mac(_NDA_LLADDR, mac) if mac else b"")
    return netlink.message(_NEWNEIGH, _ASK | how, body)


def _route(
    net: Net, index: int, gateway: Address | None = None, *, scope: int = _UNIVERSE, metric: int = 0, table: int = 0
) -> bytes:
    """A route by the link, through gateway as though that were on it; table 0 is the main one."""
    packed = net.network_address.packed
    return _way(net.version, net.prefixlen, packed, index, gateway, scope=scope, metric=metric, table=table)


def _way_to(address: Address, index: int, metric: int = 0) -> bytes:
    """A route by the link to what is on it, one address."""
    return _way(address.version, address.max_prefixlen, address.packed, index, scope=_SCOPE_LINK, metric=metric)


def _way(
    version: int,
    bits: int,
    packed: bytes,
    index: int,
    gateway: Address | None = None,
    *,
    scope: int,
    metric: int,
    table: int = 0,
) -> bytes:
    flags = 0 if gateway is None else _ON_LINK
    home = _IN_ATTRIBUTE if table else _MAIN
    head = _ROUTE.pack(_FAMILIES[version], bits, 0, 0, home, _STATIC, scope, _UNICAST, flags)
    body = (
        (attribute(_RTA_DST, packed) if bits else b"")
        + (attribute(_RTA_GATEWAY, gateway.packed) if gateway is not None else b"")
        + _number(_RTA_OIF, index)
        + (_number(_RTA_PRIORITY, metric) if metric else b"")
        + (_number(_RTA_TABLE, table) if table else b"")
    )
    return netlink.message(_NEWROUTE, _ASK | _NEW, head + body)


def _rule(source: Address, table: int, kind: int = _NEWRULE, flags: int = _NEW) -> bytes:
    """What comes from source looks into table, in the order of the table's number."""
    head = struct.pack(
        "=BBBBBBBBI", _FAMILIES[source.version], 0, source.max_prefixlen, 0, _IN_ATTRIBUTE, 0, 0, _TO_TABLE, 0
    )
    body = attribute(_FRA_SRC, source.packed) + _number(_FRA_TABLE, table) + _number(_FRA_PRIORITY, table)
    return netlink.message(kind, _ASK | flags, head + body)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _mac(kind: int, value: str) -> bytes:
    return attribute(kind, bytes.fromhex(value.replace(":", "")))
