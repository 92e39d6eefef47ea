"""Nothing in; what the kernel tells of traced packets, as values, out: nftables' trace messages, read as they come."""

from __future__ import annotations

import select
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOBUFS
from ipaddress import ip_address
from socket import if_indextoname

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import attributes, plain

_GROUP = 1 << 8  # NFNLGRP_NFTRACE is 9
_TRACE = 10 << 8 | 17  # NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE
# NFTA_TRACE_* of linux/netfilter/nf_tables.h
_TABLE, _CHAIN, _HANDLE, _KIND, _VERDICT, _ID, _NETWORK, _TRANSPORT, _IIF, _OIF, _POLICY = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    9,
    10,
    12,
    16,
)
_BUFFER = 16 << 20
FAMILIES = {0: "inet", 1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""nftables' families by their numbers (NFPROTO_*)."""
VERDICTS = {
    0: "drop",
    1: "accept",
    2: "stolen",
    3: "queue",
    -1: "continue",
    -2: "break",
    -3: "jump",
    -4: "goto",
    -5: "return",
}
_RULE, _POLICY_KIND = 3, 1
TCP, UDP, SCTP, UDPLITE, ICMP, ICMPV6 = 6, 17, 132, 136, 1, 58
_FRAGMENT = 44
"""The header that IPv6 puts before a part of a packet."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a packet says of itself; port, type and flags are None where its protocol has none.

    is_part: a fragment, of which the kernel waits for the others.
    """

    source: str
    destination: str
    protocol: int
    sport: int | None = None
    dport: int | None = None
    type: int | None = None
    code: int | None = None
    flags: int | None = None
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one packet: a rule that matched it, or the policy of a chain. handle is 0 where no rule did."""

    packet: int
    family: str
    table: str
    chain: str
    handle: int
    verdict: str
    target: str = ""
    header: Header | None = None
    iif: str = ""
    oif: str = ""


class Listener:
    """A socket that hears of all traced packets of this network namespace. lost: whether some were too many for it."""

    def __init__(self) -> None:
        self._socket = netlink.Socket(netlink.NETFILTER, _GROUP, buffer=_BUFFER)
        self.lost = False

    def close(self) -> None:
        self._socket.close()

    def events(self, patience: float) -> Iterator[Event]:
        """What is there, after so many seconds at most where nothing is."""
        wait = patience
        while select.select([self._socket], [], [], wait)[0]:
            wait = 0.0
            try:
                for kind, body in self._socket.told():
                    if kind == _TRACE:
                        yield _event(body)
            except OSError as e:
                if e.errno != ENOBUFS:
                    raise
                self.lost = True


def _event(body: bytes) -> Event:
    found = attributes(body[4:])
    verdict = attributes(found.get(_VERDICT, b""))
    kind = _number(found.get(_KIND))
    if kind == _POLICY_KIND:
        code = _number(found.get(_POLICY))
    else:
        (code,) = struct.unpack(">i", verdict.get(1, b"\0\0\0\0"))
    # A verdict of queue has the queue's number above it.
    word = VERDICTS.get(code) or VERDICTS.get(code & 0xFF, str(code))
    return Event(
        packet=_number(found.get(_ID)),
        family=FAMILIES.get(body[0], str(body[0])),
        table=_text(found.get(_TABLE)),
        chain=_text(found.get(_CHAIN)),
        handle=_number(found.get(_HANDLE)) if kind == _RULE else 0,
        verdict=word,
        target=_text(verdict.get(2)),
        header=_header(found.get(_NETWORK, b""), found.get(_TRANSPORT, b"")),
        iif=_interface(found.get(_IIF)),
        oif=_interface(found.get(_OIF)),
    )


def _number(data: bytes | None) -> int:
    return int.from_bytes(data or b"", "big")


def _text(data: bytes | None) -> str:
    return plain(data or b"")


def _interface(data: bytes | None) -> str:
    with suppress(OSError):
        return if_indextoname(_number(data)) if data else ""
    return ""


def _header(network: bytes, transport: bytes) -> Header | None:
    if len(network) >= 20 and network[0] >> 4 == 4:
        source, destination, protocol = network[12:16], network[16:20], network[9]
        fragment = int.from_bytes(network[6:8], "big")
        is_part = bool(fragment & 0x3FFF)
        if fragment & 0x1FFF:
            transport = b""  # a later fragment says nothing of ports
    elif len(network) >= 40 and network[0] >> 4 == 6:
        source, destination, protocol = network[8:24], network[24:40], network[6]
        is_part = protocol == _FRAGMENT
    else:
        return None
    ends = str(ip_address(source)), str(ip_address(destination))
    if protocol in (TCP, UDP, SCTP, UDPLITE) and len(transport) >= 4:
        sport, dport = struct.unpack_from(">HH", transport)
        flags = transport[13] if protocol == TCP and len(transport) >= 14 else None
        return Header(*ends, protocol, sport, dport, flags=flags, is_part=is_part)
    if protocol in (ICMP, ICMPV6) and len(transport) >= 2:
        return Header(*ends, protocol, type=transport[0], code=transport[1], is_part=is_part)
    return Header(*ends, protocol, is_part=is_part)
