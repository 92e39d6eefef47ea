"""The two ends of TCP connections in, the sockets of this thread's namespace that hold them closed by the kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from errno import EOPNOTSUPP
from socket import AF_INET, AF_INET6, IPPROTO_TCP

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.link import netlink

Connection = tuple[Address, int, Address, int]
"""A socket's own address and port, and its peer's, as the socket has them."""

_SOCK_DIAG, _BY_FAMILY, _DESTROY = 4, 20, 21
_LISTEN, _ANY_STATE, _NO_COOKIE = 10, 0xFFFFFFFF, b"\xff" * 8
_HEAD, _PORTS = struct.Struct("=BBxxI"), struct.Struct("!HH")
_COOKIE = slice(44, 52)  # in inet_diag_msg of linux/inet_diag.h


def reset(connections: Iterable[Connection]) -> None:
    """Close them as a reset from the peer does, and tell the peer; what is gone or can't be closed is left."""
    with netlink.Socket(_SOCK_DIAG) as socket:
        for connection in connections:
            try:
                found = socket.get(_BY_FAMILY, _request(connection, _NO_COOKIE))
                # A server's listening socket is found where the connection has none of its own any more.
                if found[1] != _LISTEN:
                    socket.do(netlink.message(_DESTROY, netlink.REQUEST, _request(connection, found[_COOKIE])))
            except netlink.NetlinkError as e:
                if e.errno == EOPNOTSUPP:  # no CONFIG_INET_DIAG_DESTROY
                    return


def _request(connection: Connection, cookie: bytes) -> bytes:
    mine, port, peer, peers = connection
    family = AF_INET if mine.version == 4 else AF_INET6
    ends = b"".join(a.packed.ljust(16, b"\0") for a in (mine, peer))
    return _HEAD.pack(family, IPPROTO_TCP, _ANY_STATE) + _PORTS.pack(port, peers) + ends + bytes(4) + cookie
