"""Interfaces in; what below and beside netfilter may keep packets of ours from their way, in words, out.

Queueing disciplines with filters, XDP programs, bridges and policy routing are not judged: they are named.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Collection, Iterator

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attributes, first, plain
from calico_rkt.plugin.link.sockets import host_socket

_PLAIN = frozenset(
    {"noqueue", "noop", "pfifo_fast", "pfifo", "bfifo", "fq", "fq_codel", "mq", "sfq", "cake", "tbf", "htb", "codel"}
)
"""Disciplines that only queue, or keep to a rate."""
_OWN_RULES = frozenset({(0, 255), (32766, 254), (32767, 253)})
"""Priority and table of the rules that every host has: local, main, default."""
_FAMILIES = {2: "IPv4", 10: "IPv6"}
_GETLINK, _GETRULE, _GETQDISC = 18, 34, 38
_IFINFOMSG, _TCMSG, _RULE = struct.Struct("=BxHiII"), struct.Struct("=BxxxiIII"), struct.Struct("=BBBBBBBBI")
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_EXT_MASK, _IFLA_XDP = 3, 10, 29, 43
_SKIP_STATS = 8
_IFLA_XDP_ATTACHED, _TCA_KIND, _FRA_PRIORITY, _FRA_TABLE = 2, 1, 6, 15
_ATTEMPTS = 20
"""A list is asked for again where something came or went while it was read; what any of them has is told."""
_RESTLESS = "come and go faster than they can be listed: what may keep packets from their way is not known"


def beside(names: Collection[str], uplink: str) -> tuple[str, ...]:
    """names: host ends of ours; nothing where there are none."""
    return tuple(dict.fromkeys(_beside({*names, uplink}, names))) if names else ()


def _beside(asked: Collection[str], ours: Collection[str]) -> Iterator[str]:
    with host_socket() as socket:
        links, _ = _listed(
            socket, _GETLINK, _IFINFOMSG.pack(0, 0, 0, 0, 0) + netlink.number(_IFLA_EXT_MASK, _SKIP_STATS)
        )
        by_index = {}
        for body in links:
            with KNOWN_SHAPE:
                name = plain(first(body, _IFLA_IFNAME, _IFINFOMSG.size))
                if name in asked:
                    by_index[_IFINFOMSG.unpack_from(body)[2]] = name
                    yield from _link(attributes(body[_IFINFOMSG.size :]), name, ours=name in ours)
        queues, whole = _listed(socket, _GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))
        for body in queues:
            with KNOWN_SHAPE:
                name = by_index.get(_TCMSG.unpack_from(body)[1], "")
                kind = plain(first(body, _TCA_KIND, _TCMSG.size))
            if name and kind not in _PLAIN:
                yield f"{name} has tc's {kind}, whose filters may drop packets or change them"
        if not whole:
            yield f"interfaces {_RESTLESS}"
        for family, version in _FAMILIES.items():
            rules, whole = _listed(socket, _GETRULE, _RULE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
            for body in rules:
                yield from _rule(body, version)
            if not whole:
                yield f"{version}'s ip rules {_RESTLESS}"


def _listed(socket: netlink.Socket, kind: int, body: bytes) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    for _ in range(_ATTEMPTS):
        more, whole = socket.dump_once(kind, body)
        found += more
        if whole:
            return more, True
    return found, False


def _link(found: dict[int, bytes], name: str, *, ours: bool) -> Iterator[str]:
    if any(attributes(found.get(_IFLA_XDP, b"")).get(_IFLA_XDP_ATTACHED, b"")):
        yield f"{name} has an XDP program, which may drop packets or change them"
    if ours and any(found.get(_IFLA_MASTER, b"")):
        yield f"{name} is a port of another interface: its packets may pass below netfilter"


def _rule(body: bytes, version: str) -> Iterator[str]:
    with KNOWN_SHAPE:
        found = attributes(body[_RULE.size :])
        table = int.from_bytes(found.get(_FRA_TABLE, body[4:5]), sys.byteorder)
        priority = int.from_bytes(found.get(_FRA_PRIORITY, b""), sys.byteorder)
    if (priority, table) not in _OWN_RULES:
        yield f"{version}'s ip rule {priority} (table {table}) may route packets of endpoints by another way"
