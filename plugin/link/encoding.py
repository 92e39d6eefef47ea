"""One change of a link, an address, a neighbour, a route or a rule in, its netlink message out."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from socket import AF_INET, AF_INET6
from types import MappingProxyType

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import CREATE, EXCL, attribute, number

NEWLINK, NEWROUTE = 16, 24
_NEWADDR, _NEWNEIGH, _NEWRULE = 20, 28, 32
# linux/if_link.h, if_addr.h, rtnetlink.h, neighbour.h, fib_rules.h
_IFLA_AF_SPEC, _IFLA_INET_CONF = 26, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
RTA_DST, _RTA_OIF, _RTA_GATEWAY, RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_FRA_SRC, _FRA_PRIORITY, _FRA_TABLE = 2, 6, 15
IFF_NOARP = 0x80
IFF_UP, _NODAD, _PERMANENT, _ON_LINK = 1, 0x2, 0x80, 4
MAIN, _IN_ATTRIBUTE, STATIC, _UNICAST, _TO_TABLE = 254, 252, 4, 1, 1
_UNIVERSE, _SCOPE_LINK = 0, 253
FAMILIES = {4: AF_INET, 6: AF_INET6}
"""By an address's IP version."""
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
ASK, NEW = netlink.REQUEST | netlink.ACK, CREATE | EXCL
"""Flags: an answer is wanted; what is there already is an error."""


def encode_up(index: int, ipv4: Mapping[int, int] = MappingProxyType({})) -> bytes:
    """Up, after sysctls of its IPv4 (linux/ip.h): by a message, since /proc/sys may be read-only, and takes longer.

    Two messages: sysctls that change on a link which is up already are told to everybody, and where its other end is
    down the kernel then walks through the neighbours of all namespaces: a millisecond at 8,000 endpoints.
    """
    sysctls = b"".join(number(kind, value) for kind, value in ipv4.items())
    spec = encode_family(AF_INET, attribute(_IFLA_INET_CONF, sysctls, nested=True))
    return (encode_link(NEWLINK, spec, index=index) if ipv4 else b"") + encode_link(NEWLINK, index=index, state=IFF_UP)


def encode_family(family: int, settings: bytes) -> bytes:
    return attribute(_IFLA_AF_SPEC, attribute(family, settings, nested=True), nested=True)


def encode_link(kind: int, attributes: bytes = b"", *, index: int = 0, state: int = 0, flags: int = 0) -> bytes:
    return netlink.message(kind, ASK | flags, encode_link_head(index, state) + attributes)


def encode_link_head(index: int = 0, state: int = 0) -> bytes:
    """ifinfomsg; the state is set and masked alike, so that nothing but it changes."""
    return struct.pack("=4xiII", index, state, state)


def encode_address(index: int, address: Address, bits: int, flags: int = NEW) -> bytes:
    """IPv6 without duplicate address detection: nobody else can have the address on this link."""
    four = address.version == 4
    head = struct.pack("=BBBBI", FAMILIES[address.version], bits, 0, _UNIVERSE, index)
    own = attribute(_IFA_LOCAL, address.packed) if four else number(_IFA_FLAGS, _NODAD)
    return netlink.message(_NEWADDR, ASK | flags, head + attribute(_IFA_ADDRESS, address.packed) + own)


def encode_neighbour(
    index: int, address: Address, mac: str, how: int, state: int = _PERMANENT, flags: int = 0
) -> bytes:
    head = struct.pack("=BxxxiHBB", FAMILIES[address.version], index, state, flags, 0)
    body = head + attribute(_NDA_DST, address.packed) + (encode_mac(_NDA_LLADDR, mac) if mac else b"")
    return netlink.message(_NEWNEIGH, ASK | how, body)


def encode_route(
    net: Net, index: int, gateway: Address | None = None, *, scope: int = _UNIVERSE, metric: int = 0, table: int = 0
) -> bytes:
    """A route by the link, through gateway as though that were on it; table 0 is the main one."""
    packed = net.network_address.packed
    return encode_way(net.version, net.prefixlen, packed, index, gateway, scope=scope, metric=metric, table=table)


def encode_way_to(address: Address, index: int, metric: int = 0) -> bytes:
    """A route by the link to what is on it, one address."""
    return encode_way(address.version, address.max_prefixlen, address.packed, index, scope=_SCOPE_LINK, metric=metric)


def encode_way(
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
    home = _IN_ATTRIBUTE if table else MAIN
    head = _ROUTE.pack(FAMILIES[version], bits, 0, 0, home, STATIC, scope, _UNICAST, flags)
    body = (
        (attribute(RTA_DST, packed) if bits else b"")
        + (attribute(_RTA_GATEWAY, gateway.packed) if gateway is not None else b"")
        + number(_RTA_OIF, index)
        + (number(RTA_PRIORITY, metric) if metric else b"")
        + (number(_RTA_TABLE, table) if table else b"")
    )
    return netlink.message(NEWROUTE, ASK | NEW, head + body)


def encode_rule(source: Address, table: int, kind: int = _NEWRULE, flags: int = NEW) -> bytes:
    """What comes from source looks into table, in the order of the table's number."""
    head = struct.pack(
        "=BBBBBBBBI", FAMILIES[source.version], 0, source.max_prefixlen, 0, _IN_ATTRIBUTE, 0, 0, _TO_TABLE, 0
    )
    body = attribute(_FRA_SRC, source.packed) + number(_FRA_TABLE, table) + number(_FRA_PRIORITY, table)
    return netlink.message(kind, ASK | flags, head + body)


def encode_text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def encode_mac(kind: int, value: str) -> bytes:
    return attribute(kind, bytes.fromhex(value.replace(":", "")))
