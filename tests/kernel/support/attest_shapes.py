"""A packet's bytes and a shape in; the same packet with another TTL, length, flags and so on, out."""

from __future__ import annotations

import random
import re
import struct
from dataclasses import dataclass

from tests.clients.support.wire.frames import checksum

_TCP, _UDP = 6, 17
_NUMBER = re.compile(r"\b\d{1,5}\b")


@dataclass(frozen=True)
class Shape:
    """What a packet has beside its ends: None and 0 are as ever. pad: bytes behind it; options: words of four bytes."""

    ttl: int = 64
    tos: int = 0
    ident: int = 0
    label: int = 0
    pad: int = 0
    options: int = 0
    flags: int | None = None
    window: int = 1024
    urgent: int = 0
    pieces: bool = False

    def __bool__(self) -> bool:
        return self != PLAIN


PLAIN = Shape()
_MENTIONED = re.compile(
    r"ttl|hoplimit|dscp|ecn|length|\bid\b|frag|hdrlength|flowlabel|flags|window|urgptr|doff|bytes|avgpkt|@nh|@th|quota|kbytes"
)


def shape_for(words: str, chance: random.Random) -> Shape:
    """One of those that words of a rule may tell apart; often the plain one where they speak of none of it."""
    if not _MENTIONED.search(words) and chance.random() < 0.8:
        return PLAIN
    numbers = [int(n) for n in _NUMBER.findall(words)]
    one = chance.choice
    small = [n for n in numbers if n < 256] or [1]
    pieces = chance.random() < 0.15
    pad = one((0, 1, 8, max(0, min(900, one(numbers or [0]) - 39))))
    return Shape(
        ttl=max(1, min(255, one((64, one(small), one(small) + 1)))),
        tos=one((0, one(small) << 2 & 0xFC, 32, 1, 3)),
        ident=one((0, 1, 4660)),
        label=one((0, 5)),
        pad=max(pad, 40) if pieces else pad,
        options=one((0, 0, 1)),
        flags=one((None, None, 0x10, 0x12, 0x04, 0x01)),
        window=one((1024, 2000)),
        urgent=one((0, 1)),
        pieces=pieces,
    )


def shaped(data: bytes, shape: Shape) -> list[bytes]:
    """The packet in one piece or in two; lengths and checksums are right again."""
    if not shape:
        return [data]
    version = data[0] >> 4
    size = 20 if version == 4 else 40
    head, body = data[:size], data[size:]
    protocol = head[9] if version == 4 else head[6]
    ends = head[12:20] if version == 4 else head[8:40]
    if protocol in (_TCP, _UDP):
        body = _transport(body, shape, protocol, ends)
    if version == 6:
        return [_six(head, body, shape)]
    options = b"\x01" * 4 * shape.options
    if shape.pieces and protocol == _UDP and not shape.options:
        cut = (len(body) // 2 + 7) & ~7
        if cut < len(body):
            more = _four(head, body[:cut], shape, b"", 0x2000)
            return [more, _four(head, body[cut:], shape, b"", cut // 8)]
    return [_four(head, body, shape, options, 0)]


def _four(head: bytes, body: bytes, shape: Shape, options: bytes, offset: int) -> bytes:
    words, length = 5 + len(options) // 4, 20 + len(options) + len(body)
    ident = shape.ident or (7 if offset or shape.pieces else 0)
    new = struct.pack("!BBHHHBBH", 0x40 | words, shape.tos, length, ident, offset, shape.ttl, head[9], 0)
    new += head[12:20] + options
    return new[:10] + struct.pack("!H", checksum(new)) + new[12:] + body


def _six(head: bytes, body: bytes, shape: Shape) -> bytes:
    first = 6 << 28 | shape.tos << 20 | shape.label
    return struct.pack("!IHBB", first, len(body), head[6], shape.ttl) + head[8:40] + body


def _transport(body: bytes, shape: Shape, protocol: int, ends: bytes) -> bytes:
    if protocol == _TCP:
        flags = body[13] if shape.flags is None else shape.flags
        body = body[:13] + struct.pack("!BHHH", flags, shape.window, 0, shape.urgent) + body[20:]
    body += bytes(shape.pad)
    at = 16 if protocol == _TCP else 6
    if protocol == _UDP:
        body = body[:4] + struct.pack("!H", len(body)) + body[6:]
    body = body[:at] + b"\0\0" + body[at + 2 :]
    lengths = struct.pack("!II", len(body), protocol) if len(ends) == 32 else struct.pack("!HH", protocol, len(body))
    return body[:at] + struct.pack("!H", checksum(ends + lengths + body) or 0xFFFF) + body[at + 2 :]
