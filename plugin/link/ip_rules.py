"""A socket in; the rules by which its namespace chooses a table of routes, out. Changes nothing."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from socket import AF_INET, AF_INET6

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attributes

_GETRULE, _FRA_SRC, _FRA_PRIORITY, _FRA_TABLE = 34, 2, 6, 15
_RULE = struct.Struct("=BBBBBBBBI")
_BITS = {AF_INET: 32, AF_INET6: 128}
_FAMILIES = {4: AF_INET, 6: AF_INET6}
_EVERYWHERE = frozenset({(0, 255), (32766, 254), (32767, 253)})
"""Priority and table of the rules that every host has: local, main, default."""
_NEEDED = ((0, 255), (32766, 254))
"""Those without which a host finds neither itself nor anybody."""
_TO_TABLE, _PERMANENT, _NO_LENGTH = 1, 1, b"\xff\xff\xff\xff"
_FRA_SUPPRESS, _FRA_PROTOCOL = 14, 21


def source_rules(socket: netlink.Socket) -> Iterator[tuple[Address, int]]:
    """Every rule that sends what comes from one address to a table, in the order of the table's own number."""
    for family, bits in _BITS.items():
        for body in socket.dump(_GETRULE, _asked(family)):
            with KNOWN_SHAPE:
                found = attributes(body[_RULE.size :])
                table, order = (found.get(a, bytes(4)) for a in (_FRA_TABLE, _FRA_PRIORITY))
                if body[0] == family and body[2] == bits and _FRA_SRC in found and table == order:
                    yield ip_address(found[_FRA_SRC]), struct.unpack("=I", table)[0]


def policy_rules(socket: netlink.Socket, version: int) -> tuple[list[tuple[int, int]], bool]:
    """Priority and table of each rule that not every host has; False where they never stood still: some may lack."""
    rules, whole = _rules(socket, version)
    return [r for r, plain in rules if not plain or r not in _EVERYWHERE], whole


def missing_rules(socket: netlink.Socket, version: int) -> list[tuple[int, int]]:
    """Priority and table of each rule that every host needs, where no rule leads all packets to that table."""
    rules, _ = _rules(socket, version)
    there = {table for (_, table), plain in rules if plain}
    return [rule for rule in _NEEDED if rule[1] not in there]


def _rules(socket: netlink.Socket, version: int) -> tuple[dict[tuple[tuple[int, int], bool], None], bool]:
    bodies, whole = socket.listed(_GETRULE, _asked(_FAMILIES[version]))
    return dict.fromkeys((_read(body), _is_plain(body)) for body in bodies), whole


def _asked(family: int) -> bytes:
    return _RULE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def _is_plain(body: bytes) -> bool:
    """Whether all packets are led to the table, and to all of its routes."""
    with KNOWN_SHAPE:
        _, to, source, tos, _, _, _, action, flags = _RULE.unpack_from(body)
        found = attributes(body[_RULE.size :])
    usual = found.keys() <= {_FRA_TABLE, _FRA_PRIORITY, _FRA_SUPPRESS, _FRA_PROTOCOL}
    every = found.get(_FRA_SUPPRESS, _NO_LENGTH) == _NO_LENGTH
    return (to, source, tos, action, flags & ~_PERMANENT) == (0, 0, 0, _TO_TABLE, 0) and usual and every


def _read(body: bytes) -> tuple[int, int]:
    with KNOWN_SHAPE:
        found = attributes(body[_RULE.size :])
        table = int.from_bytes(found.get(_FRA_TABLE, body[4:5]), sys.byteorder)
        return int.from_bytes(found.get(_FRA_PRIORITY, b""), sys.byteorder), table
