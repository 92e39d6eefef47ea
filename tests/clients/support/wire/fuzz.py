"""A random generator and two ends in, frames out: what a container with a raw socket can put on its wire.

Most of them no program would send. Each carries its number so often that every piece of it has it once.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from tests.clients.support.wire.frames import ETHERTYPES, checksum, marked, with_header
from tests.clients.support.wire.packets import Address

_HOP, _ROUTING, _FRAGMENT, _AH, _OPTIONS, _NONE = 0, 43, 44, 51, 60, 59
_ERRORS = {4: ((3, 1), (3, 4), (11, 0), (12, 0), (5, 1), (4, 0)), 6: ((1, 4), (2, 0), (3, 0), (4, 1), (137, 0))}
_OPTION_BODIES = (b"\x05\x02\0\0\x01\0", b"\xc2\x04\0\x01\0\0", b"\xff\x04\0\0\0\0")
_MACS = ("ee:ee:ee:ee:ee:ee", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", "01:00:5e:00:00:01", "02:00:00:00:00:99")


@dataclass(frozen=True)
class Frame:
    """What follows the Ethernet header, whose type it is, and to which MAC address ("" the usual one) it goes."""

    ethertype: int
    data: bytes
    mac: str = ""


def wild(rng: random.Random, ends: tuple[Address, Address], number: int, quoted: list[bytes]) -> list[Frame]:
    """One packet as it should not be, in one frame or in several; quoted are packets that ICMP errors may quote."""
    source, _ = ends
    protocol, body = _body(rng, ends, number, quoted)
    packets = (_wild4 if source.version == 4 else _wild6)(rng, ends, protocol, body)
    if rng.random() < 0.1:
        packets = [p[: rng.randint(1, len(p))] for p in packets]
    mac = rng.choice(_MACS) if rng.random() < 0.15 else ""
    return [_linked(rng, ETHERTYPES[source.version], p, mac) for p in packets]


def proper(rng: random.Random, ends: tuple[Address, Address], number: int) -> list[Frame]:
    """One packet that is odd and right: fragments in any order, options and extension headers that say nothing."""
    source, destination = ends
    protocol, body = rng.choice((_udp, _syn, _echo, _gre, _inside))(rng, ends, number)
    if source.version == 4:
        options = rng.choice((b"", b"\x01\x01\x01\x00", b"\x07\x07\x04\x00\x00\x00\x00\x00", b"\x94\x04\x00\x00"))
        whole = with_header(source, destination, protocol, body, options)
        packets = _fragments4(rng, whole) if rng.random() < 0.5 else [whole]
    else:
        chain = rng.choice(((), (_HOP,), (_OPTIONS,), (_HOP, _OPTIONS), (_OPTIONS, _OPTIONS)))
        first, behind = _chained(rng, chain, protocol, body, right=True)
        whole = with_header(source, destination, first, behind)
        packets = _fragments6(rng, ends, protocol, body, first=24) if rng.random() < 0.5 else [whole]
    rng.shuffle(packets)
    return [Frame(ETHERTYPES[source.version], p) for p in packets]


def _body(rng: random.Random, ends: tuple[Address, Address], number: int, quoted: list[bytes]) -> tuple[int, bytes]:
    if quoted and rng.random() < 0.25:
        return _error(rng, ends, number, rng.choice(quoted))
    make = rng.choice((_udp, _tcp, _tcp, _echo, _gre, _inside, _vxlan))
    protocol, body = make(rng, ends, number)
    return (rng.randrange(256) if rng.random() < 0.15 else protocol), body


def _udp(rng: random.Random, ends: tuple[Address, Address], number: int, dport: int = 0) -> tuple[int, bytes]:
    data = marked(number)
    head = struct.pack("!HHHH", rng.randint(1024, 65535), dport or rng.choice((53, 80, 5000)), 8 + len(data), 0)
    return 17, _summed(ends, 17, head + data, 6)


def _syn(rng: random.Random, ends: tuple[Address, Address], number: int) -> tuple[int, bytes]:
    return _tcp(rng, ends, number, (2,))


def _tcp(
    rng: random.Random,
    ends: tuple[Address, Address],
    number: int,
    kinds: tuple[int, ...] = (2, 2, 2, 16, 18, 4, 1, 41, 0, 255),
) -> tuple[int, bytes]:
    flags = rng.choice(kinds)
    dport = rng.choice((22, 80, 5000))
    head = struct.pack("!HHIIBBHHH", rng.randint(1024, 65535), dport, number, 0, 5 << 4, flags, 1024, 0, 0)
    return 6, _summed(ends, 6, head + marked(number), 16)


def _echo(rng: random.Random, ends: tuple[Address, Address], number: int) -> tuple[int, bytes]:
    kind = 8 if ends[0].version == 4 else 128
    body = struct.pack("!BBHHH", kind, 0, 0, rng.randrange(65536), 1) + marked(number)
    return _icmp(ends, body)


def _error(rng: random.Random, ends: tuple[Address, Address], number: int, about: bytes) -> tuple[int, bytes]:
    kinds = (
        ((3, 1), (3, 4), (11, 0), (12, 0), (5, 1), (4, 0))
        if ends[0].version == 4
        else ((1, 4), (2, 0), (3, 0), (4, 1), (137, 0))
    )
    body = struct.pack("!BBHHH", *rng.choice(kinds), 0, 0, 600) + about + marked(number)
    return _icmp(ends, body)


def _icmp(ends: tuple[Address, Address], body: bytes) -> tuple[int, bytes]:
    if ends[0].version == 6:
        return 58, _summed(ends, 58, body, 2)
    return 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def _gre(rng: random.Random, ends: tuple[Address, Address], number: int) -> tuple[int, bytes]:
    return 47, struct.pack("!HH", 0, ETHERTYPES[ends[0].version]) + _back(rng, ends, number)


def _inside(rng: random.Random, ends: tuple[Address, Address], number: int) -> tuple[int, bytes]:
    return (4 if ends[0].version == 4 else 41), _back(rng, ends, number)


def _vxlan(rng: random.Random, ends: tuple[Address, Address], number: int) -> tuple[int, bytes]:
    protocol, body = _udp(rng, ends, number, 4789)
    return protocol, body[:8] + b"\x08\0\0\0\0\0\x01\0" + bytes(12) + b"\x08\x00" + _back(rng, ends, number)


def _back(rng: random.Random, ends: tuple[Address, Address], number: int) -> bytes:
    """A packet inside another, as if it came from the far end."""
    protocol, body = _udp(rng, (ends[1], ends[0]), number)
    return with_header(ends[1], ends[0], protocol, body)


def _summed(ends: tuple[Address, Address], protocol: int, data: bytes, at: int) -> bytes:
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!II", len(data), protocol)
    return data[:at] + struct.pack("!H", checksum(pseudo + data) or 0xFFFF) + data[at + 2 :]


def _wild4(rng: random.Random, ends: tuple[Address, Address], protocol: int, body: bytes) -> list[bytes]:
    other = ends[1].packed
    options = rng.choice(
        (
            *(b"", b"", b"\x94\x04\x00\x00", b"\x07\x07\x04\x00\x00\x00\x00\x00"),
            *(b"\x83\x07\x04" + other + b"\x00", b"\x89\x07\x04" + other + b"\x00", b"\x44\x08\x05\x00" + bytes(4)),
            rng.randbytes(4 * rng.randint(1, 10)),
        )
    )
    whole = with_header(*ends, protocol, body, options)
    if rng.random() < 0.4:
        return _fragments4(rng, whole, overlap=rng.random() < 0.5, lost=rng.random() < 0.2)
    if rng.random() < 0.3:  # a byte of the header that says something else, with a sum that fits
        at = rng.choice((0, 1, 2, 3, 6, 7, 8))
        whole = whole[:at] + rng.randbytes(1) + whole[at + 1 :]
    return [_sum4(whole)]


def _sum4(packet: bytes) -> bytes:
    length = max(20, (packet[0] & 15) * 4)
    head = packet[:10] + bytes(2) + packet[12:length]
    return packet[:10] + struct.pack("!H", checksum(head)) + packet[12:]


def _fragments4(rng: random.Random, whole: bytes, *, overlap: bool = False, lost: bool = False) -> list[bytes]:
    length = (whole[0] & 15) * 4
    head, body, ident = whole[:length], whole[length:], rng.randbytes(2)
    found = []
    for start, end, more in _cuts(rng, len(body), 8, overlap=overlap, lost=lost):
        piece = body[start:end]
        size, offset = struct.pack("!H", length + len(piece)), struct.pack("!H", (0x2000 if more else 0) | start // 8)
        found.append(_sum4(head[:2] + size + ident + offset + head[8:] + piece))
    return found


def _fragments6(
    rng: random.Random,
    ends: tuple[Address, Address],
    protocol: int,
    body: bytes,
    *,
    first: int = 8,
    overlap: bool = False,
    lost: bool = False,
) -> list[bytes]:
    """first: a first fragment without the whole of TCP's header is thrown away by Linux (RFC 8200, 4.5)."""
    ident = rng.randrange(1 << 32)
    found = []
    for start, end, more in _cuts(rng, len(body), first, overlap=overlap, lost=lost):
        head = struct.pack("!BBHI", protocol, 0, start | more, ident)
        found.append(with_header(*ends, _FRAGMENT, head + body[start:end]))
    return found


def _cuts(rng: random.Random, length: int, first: int, *, overlap: bool, lost: bool) -> list[tuple[int, int, bool]]:
    """Where a body is cut: start, end, whether more follows; each start a multiple of eight."""
    starts = sorted(
        {0, *(8 * rng.randint(first // 8, max(first // 8, length // 8 - 1)) for _ in range(rng.randint(1, 3)))}
    )
    starts = [s for s in starts if s < length]
    found = [(s, e, e != length) for s, e in zip(starts, [*starts[1:], length], strict=True)]
    if overlap and len(found) > 1:
        s, e, more = found[1]
        found.insert(rng.randint(0, 2), (max(0, s - 8), e, more))
    if lost:
        found.pop(rng.randrange(len(found)))
    return found


def _wild6(rng: random.Random, ends: tuple[Address, Address], protocol: int, body: bytes) -> list[bytes]:
    if rng.random() < 0.3:
        return _fragments6(rng, ends, protocol, body, overlap=rng.random() < 0.5, lost=rng.random() < 0.2)
    chain = tuple(rng.choice((_HOP, _ROUTING, _FRAGMENT, _AH, _OPTIONS, _NONE)) for _ in range(rng.randint(0, 4)))
    first, behind = _chained(rng, chain, protocol, body, right=False, through=ends[1])
    whole = with_header(*ends, first, behind)
    if rng.random() < 0.2:
        at = rng.choice((0, 1, 4, 5, 6, 7))
        whole = whole[:at] + rng.randbytes(1) + whole[at + 1 :]
    return [whole]


def _chained(
    rng: random.Random,
    chain: tuple[int, ...],
    protocol: int,
    body: bytes,
    *,
    right: bool,
    through: Address | None = None,
) -> tuple[int, bytes]:
    """The number of the first extension header, and all of them in front of the body."""
    following, behind = protocol, body
    for kind in reversed(chain):
        if kind in (_HOP, _OPTIONS):
            inner = (
                b"\x01\x04\0\0\0\0"
                if right or rng.random() < 0.6
                else rng.choice((b"\x05\x02\0\0\x01\0", rng.randbytes(6)))
            )
            head = struct.pack("!BB", following, 0) + inner
        elif kind == _ROUTING:
            route = struct.pack("!BBBBI", following, 2, rng.choice((0, 2, 3, 4)), rng.choice((0, 1)), 0)
            head = route + (through.packed if through is not None else bytes(16))
        elif kind == _FRAGMENT:
            head = struct.pack("!BBHI", following, 0, rng.choice((0, 0, 1, 8)), rng.randrange(1 << 32))
        elif kind == _AH:
            head = struct.pack("!BBHII", following, 4, 0, 1, 1) + bytes(12)
        else:
            head = b""
        following, behind = kind, head + behind
    return following, behind


def _linked(rng: random.Random, ethertype: int, packet: bytes, mac: str) -> Frame:
    how = rng.random()
    if how < 0.7:
        return Frame(ethertype, packet, mac)
    if how < 0.85:  # a priority tag, a VLAN, one VLAN in another
        tag = struct.pack("!HH", rng.choice((0, 0xE000, 5, 4095)), ethertype)
        if rng.random() < 0.3:
            return Frame(0x88A8, struct.pack("!HH", rng.choice((0, 7)), 0x8100) + tag + packet, mac)
        return Frame(0x8100, tag + packet, mac)
    if how < 0.9:
        return Frame(0x8847, struct.pack("!I", (16 << 12) | 0x1FF) + packet, mac)
    return Frame(rng.choice((0x0800, 0x86DD, 0x0806, 0x8863, 0x8864, 0x88CC, 0x6558)), packet, mac)


def fragment_pair(ends: tuple[Address, Address], last: int, first: int) -> tuple[Frame, Frame]:
    """The last and the first piece of one UDP packet, each with a number of its own."""
    head = struct.pack("!HHHH", 5000, 53, 8 + 2 * len(marked(first)), 0) + marked(first)
    version = ends[0].version
    found = []
    for offset, more, body in ((len(head), 0, marked(last)), (0, 1, head)):
        if version == 6:
            packet = with_header(*ends, _FRAGMENT, struct.pack("!BBHI", 17, 0, offset | more, last) + body)
        else:
            packet = with_header(*ends, 17, body)
            packet = _sum4(packet[:4] + struct.pack("!HH", last & 0xFFFF, more << 13 | offset // 8) + packet[8:])
        found.append(Frame(ETHERTYPES[version], packet))
    return found[0], found[1]
