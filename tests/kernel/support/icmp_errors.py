"""A flow's addresses in, ICMP errors that quote it out, as any program with a raw socket can send them."""

from __future__ import annotations

import contextlib
import socket
import struct
from ipaddress import ip_address

from tests.kernel.support import enforce_world as w

_PROTOCOL = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
"""The error that makes its receiver send smaller packets: type and code."""
SMALL = {4: 600, 6: 1280}


def quoting(family, source, destination, ports, kind=None):
    """The ICMP message (IPv6: the kernel fills in the checksum) about a UDP packet from source to destination."""
    number, code = kind or TOO_BIG[family]
    udp = struct.pack("!HHHH", *ports, 1200, 0)
    ends = ip_address(source).packed + ip_address(destination).packed
    if family == 4:
        inner = struct.pack("!BBHHHBBH", 0x45, 0, 1220, 0, 0x4000, 64, 17, 0) + ends
        inner = inner[:10] + struct.pack("!H", _checksum(inner)) + inner[12:]
        body = struct.pack("!BBHHH", number, code, 0, 0, SMALL[4]) + inner + udp
        return body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
    return struct.pack("!BBHI", number, code, 0, SMALL[6]) + struct.pack("!IHBB", 6 << 28, 1200, 17, 64) + ends + udp


def send(ns, family, target, message):
    with w.inside(ns), socket.socket(w.FAMILY[family], socket.SOCK_RAW, _PROTOCOL[family]) as raw:
        raw.sendto(message, (target, 0))


@contextlib.contextmanager
def arriving(ns, family):
    """A raw socket in ns; got(kind) says whether an error of this type and code came."""
    with w.inside(ns):
        raw = socket.socket(w.FAMILY[family], socket.SOCK_RAW, _PROTOCOL[family])
    raw.settimeout(w.wait())

    def got(kind, *, quoted=b""):
        with contextlib.suppress(TimeoutError):
            while True:
                data = raw.recv(4096)
                message = data[20:] if family == 4 else data
                if (message[0], message[1]) == kind and quoted in message:
                    return True
        return False

    with raw:
        yield got


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
