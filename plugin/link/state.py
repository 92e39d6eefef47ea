"""Names of interfaces in, what the kernel has of them out: owners, groups, addresses, routes. Changes nothing."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from errno import EHOSTUNREACH, ENODEV, ENOENT
from ipaddress import ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6, AF_UNSPEC

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attribute, attributes, plain
from calico_rkt.plugin.link.sockets import host_socket

PREFIX = "crk"
"""What the names of host ends begin with on the local datastore; Felix has `cali`."""

ALIAS = "calico-rkt"
"""The first word of a host end's alias; the nonce of the attachment is the second."""

_GETLINK, _GETADDR, _GETROUTE, _GETNSID = 18, 22, 26, 90
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_IFALIAS = 1, 3, 4, 5, 18, 20
_IFLA_MASTER = 10
_IFLA_GROUP, _IFLA_EXT_MASK, _IFLA_LINK_NETNSID = 27, 29, 37
_NETNSA_NSID = 1
_INFO_KIND, _SKIP_STATS = 1, 8
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA, _RTA_NH_ID = 9, 15, 18, 30
UNICAST, _UNREACHABLE, _MAIN, _CLONED, _FIB_MATCH = 1, 7, 254, 0x200, 0x2000
_IFF_UP, _IFF_NOARP = 1, 0x80
_FAMILIES = {4: AF_INET, 6: AF_INET6}
_INDEX, _RTMSG = struct.Struct("=i"), struct.Struct("=BBBBBBBBI")
_BITS = {AF_INET: 32, AF_INET6: 128}
_OTHER_END, _LEAVES_BY = netlink.Place(_IFLA_LINK, 16), netlink.Place(_RTA_OIF, 12)


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as the kernel has it; kind is "veth", "bridge" and so on, empty for hardware and loopback.

    peer: of a veth the other end's index, in the namespace where that is.
    peer_netns: this namespace's number for that one; None where it is this same namespace, -1 where it is dying.
    group: the device group that it is in, 0 where nobody put it into one.
    master: the index of the interface, such as a bridge, that it is a port of; 0 where it is none's.
    arp: whether it asks who has an address.
    """

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    kind: str
    alias: str
    peer: int
    peer_netns: int | None = None
    group: int = 0
    master: int = 0
    arp: bool = True

    @property
    def nonce(self) -> str:
        """The nonce of the attachment that this host end belongs to, empty when it is none of ours."""
        return _nonce_in(self.alias) if self.kind == "veth" else ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table; gateway is None on-link, index the interface it leaves by (0 for several).

    protocol: what made it, as RTPROTO_* of linux/rtnetlink.h. tos: the type of service that packets have to have, 0
    of a route for all.
    """

    destination: Net
    gateway: Address | None
    index: int
    unicast: bool = True
    metric: int = 0
    protocol: int = 0
    tos: int = 0


def interface(socket: netlink.Socket, name: str) -> Interface | None:
    """The interface of that name in the socket's namespace, or None."""
    _, (answer,) = socket.exchange(b"", [asked_interface(name)])
    return interface_in(answer)


def asked_interface(name: str) -> netlink.Question:
    """The question that interface() asks."""
    return asked_named(name.encode())


def asked_named(name: bytes) -> netlink.Question:
    """The same by the name's bytes."""
    return _GETLINK, _ifinfomsg() + attribute(_IFLA_IFNAME, name + b"\0")


def interface_in(answer: bytes | netlink.NetlinkError) -> Interface | None:
    """What was answered to asked_interface()."""
    if isinstance(answer, bytes):
        return _interface(answer)
    if answer.errno == ENODEV:
        return None
    raise answer


def ends_in(answer: bytes) -> tuple[int, int]:
    """Of a veth that was asked for: its index, and the other end's in the namespace where that is."""
    with KNOWN_SHAPE:
        return _INDEX.unpack_from(answer, 4)[0], int.from_bytes(_OTHER_END.of(answer), sys.byteorder)


def interface_at(socket: netlink.Socket, index: int) -> Interface:
    """The interface of that index; NetlinkError when it has gone."""
    return _interface(socket.get(_GETLINK, _ifinfomsg(index)))


def peer_lives(socket: netlink.Socket, end: Interface) -> bool:
    """Whether the other end of a veth is in another namespace that lives: a dying one takes the pair with it soon."""
    if end.peer_netns is None or end.peer_netns < 0:
        return False
    number = attribute(_NETNSA_NSID, struct.pack("=i", end.peer_netns))
    try:
        socket.get(_GETNSID, struct.pack("=Bxxx", AF_UNSPEC) + number)
    except netlink.NetlinkError as e:
        return e.errno != ENOENT  # kernels before 4.20 can't be asked by number
    return True


def every_link() -> netlink.Question:
    """The question whose answers are all links, each as the kernel tells of it."""
    return _GETLINK, _ifinfomsg()


def interfaces(socket: netlink.Socket) -> tuple[Interface, ...]:
    """Every interface of the socket's namespace."""
    return tuple(map(_interface, socket.dump(*every_link())))


def veths(socket: netlink.Socket) -> tuple[Interface, ...]:
    """Every veth of the socket's namespace; the kernel sorts out the rest."""
    kind = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, b"veth"), nested=True)
    found = map(_interface, socket.dump(_GETLINK, _ifinfomsg() + kind))
    return tuple(i for i in found if i.kind == "veth")


def marked(socket: netlink.Socket) -> Iterator[tuple[str, str]]:
    """Name and nonce of every link that has a nonce in its alias, be it of another kind: less to read than veths()."""
    kind = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, b"veth"), nested=True)
    found: dict[tuple[str, str], None] = {}

    def look(body: bytes) -> None:
        nonce = _nonce_in(plain(netlink.first(body, _IFLA_IFALIAS, 16)))
        if nonce:
            found[plain(netlink.first(body, _IFLA_IFNAME, 16)), nonce] = None

    socket.dump_through(_GETLINK, _ifinfomsg() + kind, look)
    return iter(found)


def _nonce_in(alias: str) -> str:
    words = alias.split(" ")
    return words[1] if len(words) > 1 and words[0] == ALIAS else ""


def groups(socket: netlink.Socket, kind: str = "veth") -> Iterator[tuple[str, int, int]]:
    """Name, index and group of every interface of a kind, all where none is given: less to read than interfaces().

    Links come and go while they are listed, so one may be told twice.
    """
    only = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, kind.encode()), nested=True) if kind else b""
    found: list[tuple[str, int, int]] = []

    def look(body: bytes) -> None:
        group = int.from_bytes(netlink.first(body, _IFLA_GROUP, 16), sys.byteorder)
        found.append((plain(netlink.first(body, _IFLA_IFNAME, 16)), _INDEX.unpack_from(body, 4)[0], group))

    socket.dump_through(_GETLINK, _ifinfomsg() + only, look)
    return iter(found)


def addresses(socket: netlink.Socket) -> Iterator[tuple[int, Address, Net]]:
    """Every address: the index of its interface, the address, its network on the link."""
    for body in socket.dump(_GETADDR, struct.pack("=BBBBI", AF_UNSPEC, 0, 0, 0, 0)):
        with KNOWN_SHAPE:
            family, prefix, _, _, index = struct.unpack_from("=BBBBI", body)
            if family in _BITS:
                found = attributes(body[8:])
                address = ip_address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])
                yield index, address, ip_interface((address, prefix)).network


def routes(
    socket: netlink.Socket, versions: tuple[int, ...] = (4, 6), *, kind: int = 0, single: bool = True
) -> Iterator[Route]:
    """Every route of the main table; kind: of that kind alone. Those to single addresses only where they are wanted."""
    for version in versions:
        family = _FAMILIES[version]
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _MAIN, 0, 0, kind, 0)
        for answer in _dump_routes(socket, body):
            with KNOWN_SHAPE:
                flags = struct.unpack_from("=I", answer, 8)[0]
                its, bits, table, its_kind = answer[0], answer[1], answer[4], answer[7]
                if (its, table) != (family, _MAIN) or flags & _CLONED or (kind and its_kind != kind):
                    continue
                if single or bits < _BITS[family]:
                    yield _route(answer)


def _dump_routes(socket: netlink.Socket, body: bytes) -> list[bytes]:
    try:
        return socket.dump(_GETROUTE, body + attribute(_RTA_TABLE, struct.pack("=I", _MAIN)))
    except netlink.NetlinkError as e:
        if e.errno == ENOENT:  # a namespace that never had a route has no table
            return []
        raise


@dataclass(frozen=True, slots=True)
class Way:
    """What the host does with a packet to an address: the route that takes it anywhere; or says that none does."""

    route: Route | None
    unreachable: bool


def lookup(socket: netlink.Socket, address: Address) -> Way:
    """The way that a packet from the host to address would take, as it stands in the table."""
    _, (answer,) = socket.exchange(b"", [asked_way(address)])
    return way_in(answer)


def asked_way(address: Address) -> netlink.Question:
    """The question that lookup() asks."""
    head = _RTMSG.pack(_FAMILIES[address.version], address.max_prefixlen, 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    return _GETROUTE, head + attribute(_RTA_DST, address.packed)


def way_in(answer: bytes | netlink.NetlinkError) -> Way:
    """What was answered to asked_way()."""
    if isinstance(answer, bytes):
        return Way(_route(answer), unreachable=False)
    return Way(None, unreachable=answer.errno == EHOSTUNREACH)  # else prohibited, blackholed or simply none


def leads_by(answer: bytes | netlink.NetlinkError, index: int) -> bool:
    """Whether the way that was answered to asked_way() leaves by this interface, and not up to the host."""
    if not isinstance(answer, bytes) or answer[7] != UNICAST:
        return False
    return _LEAVES_BY.of(answer) == index.to_bytes(4, sys.byteorder)


def route_to(socket: netlink.Socket, address: Address) -> Route | None:
    """The route that a packet from the host to address would take; None without one that takes it anywhere."""
    return lookup(socket, address).route


def unreachable(socket: netlink.Socket) -> Iterator[Net]:
    """The destinations of the main table's unreachable routes."""
    return (route.destination for route in routes(socket, kind=_UNREACHABLE))


def owner(host_ifname: str) -> str | None:
    """The nonce of the attachment whose host end this is; "" for a foreign interface, None when there is none."""
    with host_socket() as socket:
        found = interface(socket, host_ifname)
    return None if found is None else found.nonce


def owned_links() -> tuple[tuple[str, str], ...]:
    """(name, nonce) of every host end of ours in this namespace."""
    with netlink.Socket() as socket:
        return tuple((i.name, i.nonce) for i in veths(socket) if i.nonce)


def _ifinfomsg(index: int = 0) -> bytes:
    return struct.pack("=BBHiII", AF_UNSPEC, 0, 0, index, 0, 0) + attribute(
        _IFLA_EXT_MASK, struct.pack("=I", _SKIP_STATS)
    )


def _interface(body: bytes) -> Interface:
    with KNOWN_SHAPE:
        _, _, _, index, flags, _ = struct.unpack_from("=BBHiII", body)
        found = attributes(body[16:])
        info = attributes(found.get(_IFLA_LINKINFO, b""))
        there = found.get(_IFLA_LINK_NETNSID)
        return Interface(
            index=index,
            name=plain(found[_IFLA_IFNAME]),
            mac=_mac(found.get(_IFLA_ADDRESS, b"")),
            mtu=struct.unpack("=I", found[_IFLA_MTU])[0],
            up=bool(flags & _IFF_UP),
            kind=plain(info.get(_INFO_KIND, b"")),
            alias=plain(found.get(_IFLA_IFALIAS, b"")),
            peer=int.from_bytes(found.get(_IFLA_LINK, b""), sys.byteorder),
            peer_netns=struct.unpack("=i", there)[0] if there is not None else None,
            group=int.from_bytes(found.get(_IFLA_GROUP, b""), sys.byteorder),
            master=int.from_bytes(found.get(_IFLA_MASTER, b""), sys.byteorder),
            arp=not flags & _IFF_NOARP,
        )


def _route(body: bytes) -> Route:
    with KNOWN_SHAPE:
        family, bits, _, tos, _, protocol, _, kind = struct.unpack_from("=BBBBBBBB", body)
        found = attributes(body[12:])
        packed = found.get(_RTA_DST, bytes(_BITS[family] // 8))
        gateway = ip_address(found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else None
        if gateway is None and any(a in found for a in (_RTA_VIA, _RTA_MULTIPATH, _RTA_NH_ID)):
            gateway = ip_address(bytes(_BITS[family] // 8))  # some gateway: not on-link is all that is asked
        index = struct.unpack("=I", found[_RTA_OIF])[0] if _RTA_OIF in found else 0
        destination = ip_network((packed, bits), strict=False)
        metric = struct.unpack("=I", found[_RTA_PRIORITY])[0] if _RTA_PRIORITY in found else 0
        return Route(destination, gateway, index, kind == UNICAST, metric, protocol, tos)


def _mac(data: bytes) -> str:
    return data.hex(":")
