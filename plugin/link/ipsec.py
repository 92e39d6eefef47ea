"""Addresses in; the host's IPsec policies that packets from or to them may meet, in words, out. Changes nothing."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from errno import EPROTONOSUPPORT
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE

_XFRM, _GETPOLICY, _GETDEFAULT = 6, 0x15, 0x28
_POLICY_ID, _DEFAULT = 64, struct.Struct("=BBB")
_SELECTOR = struct.Struct("=16s16s8xHBB")
_DIRECTION_AND_ACTION = struct.Struct("=160xBB")
_DIRECTIONS, _BLOCK = ("in", "out", "fwd"), 1
"""Of the host as a whole; those behind them are of single sockets."""


def policies(addresses: Collection[Address]) -> Iterator[str]:
    """Each policy whose selector has one of them as source or destination, and a default that blocks."""
    try:
        socket = netlink.Socket(_XFRM)
    except OSError as e:
        if e.errno == EPROTONOSUPPORT:
            return
        raise
    with socket:
        found, whole = socket.listed(_GETPOLICY, bytes(_POLICY_ID))
        for body in found:
            yield from _policy(body, addresses)
        if not whole:
            yield "IPsec policies come and go faster than they can be listed"
        with suppress(netlink.NetlinkError), KNOWN_SHAPE:  # a kernel before 5.15 has no defaults
            default = _DEFAULT.unpack_from(socket.get(_GETDEFAULT, _DEFAULT.pack(0, 0, 0)))
            for direction, action in zip(("in", "fwd", "out"), default, strict=True):
                if action == _BLOCK:
                    yield f"IPsec blocks what has no policy of its own (direction {direction})"


def _policy(body: bytes, addresses: Collection[Address]) -> Iterator[str]:
    with KNOWN_SHAPE:
        to, source, family, bits_of_to, bits_of_source = _SELECTOR.unpack_from(body)
        direction, action = _DIRECTION_AND_ACTION.unpack_from(body)
        ends = _net(family, source, bits_of_source), _net(family, to, bits_of_to)
    if direction < len(_DIRECTIONS) and any(a.version == n.version and a in n for n in ends for a in addresses):
        what = f"{'blocks' if action == _BLOCK else 'takes'} {ends[0]} to {ends[1]}"
        yield f"an IPsec policy (direction {_DIRECTIONS[direction]}) {what}, perhaps packets of ours"


def _net(family: int, packed: bytes, length: int) -> Net:
    if family == AF_INET:
        return IPv4Network((packed[:4], length), strict=False)
    return IPv6Network((packed, length), strict=False)
