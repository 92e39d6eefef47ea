"""A chain's name in, the number of its rules out, over a netlink socket of one's own."""

from __future__ import annotations

import itertools
import socket
import struct

from calico_rkt.plugin.result import CniError, Code

_NETFILTER = 12  # NETLINK_NETFILTER of linux/netlink.h
_NEW_RULE, _GET_RULE = 10 << 8 | 6, 10 << 8 | 7  # NFNL_SUBSYS_NFTABLES and NFT_MSG_*RULE of linux/netfilter
_REQUEST, _INTERRUPTED, _DUMP = 0x1, 0x10, 0x300
_ERROR, _DONE = 2, 3
_INET = 1  # NFPROTO_INET
_TABLE, _CHAIN = 1, 2  # NFTA_RULE_*
_HEADER = struct.Struct("=IHHII")
_SEQUENCE = itertools.count(1)


def opened() -> socket.socket:
    """A socket of this thread's network namespace, as count() wants it."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    made.bind((0, 0))
    made.settimeout(5)
    return made


def count(asked: socket.socket, table: str, chain: str) -> int:
    """The number of rules of a chain of an inet table; 0 too when there is no such chain or table."""
    while (found := _once(asked, table, chain)) is None:
        pass
    return found


def _once(asked: socket.socket, table: str, chain: str) -> int | None:
    """One listing; None when another transaction came between its parts, so that the number may be wrong."""
    sequence = next(_SEQUENCE)
    body = struct.pack("=BBH", _INET, 0, 0) + _attribute(_TABLE, table) + _attribute(_CHAIN, chain)
    asked.send(_HEADER.pack(_HEADER.size + len(body), _GET_RULE, _REQUEST | _DUMP, sequence, 0) + body)
    found, torn = 0, False
    while True:
        data = asked.recv(1 << 17)
        at = 0
        while at < len(data):
            length, kind, flags, answered, _ = _HEADER.unpack_from(data, at)
            if answered == sequence:  # not what is left of an answer that an error cut off
                torn |= bool(flags & _INTERRUPTED)
                found += kind == _NEW_RULE
                if kind == _DONE:
                    return None if torn else found
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", data, at + _HEADER.size)
                    raise CniError(Code.POLICY, f"the kernel does not list its nftables rules: error {-code}")
            at += (length + 3) & ~3


def _attribute(kind: int, text: str) -> bytes:
    value = text.encode() + b"\0"
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
