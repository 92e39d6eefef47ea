"""A packet's values and a number in, its bytes out, with right checksums; and back: the number that bytes carry."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from tests.clients.support.wire.packets import PORTED, Address, Sent

_MARK = b"\x00wire\xff"
_ICMPV6, _SCTP_INIT = 58, 1


def ip_packet(sent: Sent, number: int, echo: int | None = None) -> bytes:
    """The whole IP packet; number is what tells it from all others on the way. echo: by which ICMP calls its flow."""
    body = _body(sent, _MARK + struct.pack("!I", number), echo if echo is not None and sent.is_icmp else number)
    return with_header(sent.source, sent.destination, sent.protocol, body)


def with_header(source: Address, destination: Address, protocol: int, body: bytes, options: bytes = b"") -> bytes:
    """A header of the addresses' family in front of a body; options are IPv4's, a multiple of four bytes."""
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source.packed + destination.packed + body
    words, length = 5 + len(options) // 4, 20 + len(options) + len(body)
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, 0, 0, 64, protocol, 0)
    header += source.packed + destination.packed + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def _body(sent: Sent, payload: bytes, number: int) -> bytes:
    sport, dport = sent.ports
    if sent.protocol == 6:
        head = struct.pack("!HHIIBBHHH", sport, dport, number, 0, 5 << 4, sent.flags, 1024, 0, 0)
        return _summed(sent, head + payload, 16)
    if sent.protocol in (17, 136):  # UDPLite says in the length's place how much is summed up: 0 is all
        length = 8 + len(payload) if sent.protocol == 17 else 0
        return _summed(sent, struct.pack("!HHHH", sport, dport, length, 0) + payload, 6)
    if sent.protocol == 132:
        chunk = struct.pack("!IIHHI", number + 1, 65536, 1, 1, number)
        chunk += struct.pack("!HH", 0x8008, 4 + len(payload)) + payload + bytes(-len(payload) % 4)
        chunk = struct.pack("!BBH", _SCTP_INIT, 0, 4 + len(chunk)) + chunk
        head = struct.pack("!HHI", sport, dport, 0)
        return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk
    if sent.is_icmp:
        head = struct.pack("!BBHHH", *sent.icmp, 0, number & 0xFFFF, 1)
        if (sent.protocol, sent.version) == (_ICMPV6, 6):
            return _summed(sent, head + payload, 2)
        data = head + payload
        return data[:2] + struct.pack("!H", checksum(data)) + data[4:]
    return (bytes(4) if sent.protocol == 47 else b"") + payload


def _summed(sent: Sent, data: bytes, at: int) -> bytes:
    """With the checksum over the addresses, too, at that place; a sum of 0 is written as all ones."""
    ends = sent.source.packed + sent.destination.packed
    pseudo = ends + struct.pack("!II" if sent.version == 6 else "!HH", *_lengths(sent, len(data)))
    return data[:at] + struct.pack("!H", checksum(pseudo + data) or 0xFFFF) + data[at + 2 :]


def _lengths(sent: Sent, length: int) -> tuple[int, int]:
    return (length, sent.protocol) if sent.version == 6 else (sent.protocol, length)


def checksum(data: bytes) -> int:
    """The Internet's, of RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _table() -> Iterable[int]:
    for n in range(256):
        value = n
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


_CRC32C = tuple(_table())


def crc32c(data: bytes) -> int:
    """SCTP's checksum (RFC 9260, appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def marked(number: int, times: int = 8) -> bytes:
    """A payload that carries a number so often that each larger piece of it does."""
    return (_MARK + struct.pack("!I", number)) * times


def number_in(data: bytes) -> int | None:
    """The number that bytes carry, wherever in them; None: these are none of ours."""
    at = data.find(_MARK)
    found = data[at + len(_MARK) : at + len(_MARK) + 4]
    return struct.unpack("!I", found)[0] if at >= 0 and len(found) == 4 else None


def is_it(sent: Sent, packet: bytes) -> bool:
    """Whether an IP packet that carries a packet's number is that packet, and no error or answer about it."""
    if packet[0] >> 4 == 4:
        body, protocol, destination = packet[(packet[0] & 15) * 4 :], packet[9], packet[16:20]
    else:
        body, protocol, destination = packet[40:], packet[6], packet[24:40]
    if (protocol, destination) != (sent.protocol, sent.destination.packed):
        return False
    return is_it_without_header(sent, body)


def is_it_without_header(sent: Sent, body: bytes) -> bool:
    """The same of what follows the IP header."""
    if sent.is_icmp:
        return (body[0], body[1]) == sent.icmp
    if sent.protocol in PORTED:
        return struct.unpack("!H", body[2:4])[0] == sent.ports[1]
    return True


FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
ETHERTYPES = {4: 0x0800, 6: 0x86DD}
