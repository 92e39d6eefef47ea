"""Interfaces in; what below and beside netfilter may keep packets of ours from their way, in words, out.

Queueing disciplines with filters, XDP programs, bridges and policy routing are not judged: they are named.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.link import ip_rules, ipsec, netlink, state, sysctls
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attributes, first, plain
from calico_rkt.plugin.link.sockets import host_socket

_PLAIN = frozenset(
    {"noqueue", "noop", "pfifo_fast", "pfifo", "bfifo", "fq", "fq_codel", "mq", "sfq", "cake", "tbf", "htb", "codel"}
)
"""Disciplines that only queue, or keep to a rate."""
_FILTERED = frozenset({"fq_codel", "sfq", "cake", "tbf", "htb"})
"""Those of them that may have filters."""
_GETQDISC, _GETFILTER = 38, 46
_NOARP = 0x80
_IFINFOMSG, _TCMSG = struct.Struct("=BxHiII"), struct.Struct("=BxxxiIII")
_IFLA_IFNAME, _IFLA_XDP = 3, 43
_IFLA_XDP_ATTACHED, _TCA_KIND = 2, 1
_RESTLESS = "come and go faster than they can be listed: what may keep packets from their way is not known"


def beside(names: Collection[str], uplink: str, addresses: Collection[Address] = ()) -> tuple[str, ...]:
    """names: host ends of ours; nothing where there are none. addresses: those that packets of ours have."""
    if not names:
        return ()
    found = [*_beside({*names, uplink}, names, addresses), *ipsec.policies(addresses)]
    if not sysctls.forwards_ipv4(uplink):
        found.append(f"net/ipv4/conf/{uplink}/forwarding is off: IPv4 that comes by it goes no further")
    return tuple(dict.fromkeys(found))


def _beside(asked: Collection[str], ours: Collection[str], addresses: Collection[Address]) -> Iterator[str]:
    with host_socket() as socket:
        links, _ = socket.listed(*state.every_link())
        by_index = {}
        for body in links:
            with KNOWN_SHAPE:
                name = plain(first(body, _IFLA_IFNAME, _IFINFOMSG.size))
                if name in asked:
                    _, _, index, flags, _ = _IFINFOMSG.unpack_from(body)
                    by_index[index] = name
                    if name in ours and flags & _NOARP:
                        yield f"{name} asks for no neighbours (arp off): packets that go out by it may reach nobody"
                    yield from _link(attributes(body[_IFINFOMSG.size :]), name)
        queues, whole = socket.listed(_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))
        for body in queues:
            with KNOWN_SHAPE:
                _, index, handle, _, _ = _TCMSG.unpack_from(body)
                name = by_index.get(index, "")
                kind = plain(first(body, _TCA_KIND, _TCMSG.size))
            if name and (kind not in _PLAIN or (kind in _FILTERED and _filters(socket, index, handle))):
                yield f"{name} has tc's {kind}, whose filters may drop packets or change them"
        if not whole:
            yield f"interfaces {_RESTLESS}"
        for route in state.routes(socket):
            if route.tos and route.destination[0] == route.destination[-1] and route.destination[0] in addresses:
                words = f"the host's route to {route.destination[0]} for type of service {route.tos}"
                yield f"{words} may lead packets of that kind another way"
        for version in (4, 6):
            rules, whole = ip_rules.policy_rules(socket, version)
            for priority, table in ip_rules.missing_rules(socket, version):
                yield f"IPv{version}'s ip rule {priority} (table {table}) is not there: its routes lead nobody"
            for priority, table in rules:
                yield f"IPv{version}'s ip rule {priority} (table {table}) may route packets of endpoints by another way"
            if not whole:
                yield f"IPv{version}'s ip rules {_RESTLESS}"


def _filters(socket: netlink.Socket, index: int, handle: int) -> bool:
    """Whether a queueing discipline of an interface has any, or they could not be listed."""
    found, whole = socket.listed(_GETFILTER, _TCMSG.pack(0, index, 0, handle, 0))
    return bool(found) or not whole


def _link(found: dict[int, bytes], name: str) -> Iterator[str]:
    if any(attributes(found.get(_IFLA_XDP, b"")).get(_IFLA_XDP_ATTACHED, b"")):
        yield f"{name} has an XDP program, which may drop packets or change them"
