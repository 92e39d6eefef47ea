"""A packet in, the words that a person would write it down with out."""

from __future__ import annotations

from calico_rkt.compiler.ir.evaluate import End, Packet
from calico_rkt.compiler.ir.model import PORT_PROTOCOLS, PROTOCOL_NAMES


def packet_words(packet: Packet) -> str:
    """One packet as a person would write it down: `TCP 10.2.0.5:49152 -> 10.1.0.5:80`."""
    what = PROTOCOL_NAMES.get(packet.protocol, f"protocol {packet.protocol}")
    if packet.icmp is not None:
        what += f" type {packet.icmp.type} code {packet.icmp.code}"
    ported = packet.protocol in PORT_PROTOCOLS
    return f"{what} {_end(packet.source, ported)} -> {_end(packet.destination, ported)}"


def _end(end: End, ported: bool) -> str:
    address = f"[{end.address}]" if ported and end.address.version == 6 else str(end.address)
    return f"{address}:{end.port}" if ported else address
