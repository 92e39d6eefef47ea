"""A netlink socket in; the neighbours that its namespace's interfaces have, all of them or one, out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from errno import ENOENT
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, AF_UNSPEC

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attribute, attributes

_GETNEIGH, _NDA_DST, _NDA_LLADDR = 30, 1, 2
_FOR_GOOD = 0x80 | 0x40  # NUD_PERMANENT, NUD_NOARP
_NDMSG = struct.Struct("=BxxxiHBB")
_FAMILIES = {4: AF_INET, 6: AF_INET6}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """permanent: written down for good, the kernel never asks for it anew."""

    address: Address
    index: int
    mac: str
    permanent: bool


def neighbours(socket: netlink.Socket) -> Iterator[Neighbour]:
    """Every entry, of ARP and of NDP. The kernel looks through those of all namespaces for it."""
    for body in socket.dump(_GETNEIGH, _NDMSG.pack(AF_UNSPEC, 0, 0, 0, 0)):
        with KNOWN_SHAPE:
            if body[0] in _FAMILIES.values() and _NDA_DST in attributes(body[12:]):
                yield _neighbour(body)


def neighbour(socket: netlink.Socket, index: int, address: Address) -> Neighbour | None:
    """The entry that one interface has of an address; None where it has none."""
    asked = _NDMSG.pack(_FAMILIES[address.version], index, 0, 0, 0) + attribute(_NDA_DST, address.packed)
    try:
        return _neighbour(socket.get(_GETNEIGH, asked))
    except netlink.NetlinkError as e:
        if e.errno == ENOENT:
            return None
        raise


def _neighbour(body: bytes) -> Neighbour:
    with KNOWN_SHAPE:
        _, index, state, _, _ = _NDMSG.unpack_from(body)
        found = attributes(body[12:])
        mac = found.get(_NDA_LLADDR, b"").hex(":")
        return Neighbour(ip_address(found[_NDA_DST]), index, mac, bool(state & _FOR_GOOD))
