"""A kind of packet as somebody names it on a command line in, the match that says it out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, PROTOCOL_NAMES, Icmp, Match, Side
from calico_rkt.compiler.packets.opening import opens_nothing
from calico_rkt.compiler.text.values import LAST_PORT, BadValueError, parse_number, parse_port, parse_protocol

T = TypeVar("T")


def add_ends(parser: argparse.ArgumentParser) -> None:
    """FROM, TO and PACKET: args.source, args.destination, args.packet; no packet is every packet."""
    parser.add_argument("source", metavar="FROM", help="who sends")
    parser.add_argument("destination", metavar="TO", help="who is reached")
    parser.add_argument(
        "packet", metavar="PACKET", nargs="?", default="", help="such as tcp/80 (default: every packet)"
    )


def parse_packet(text: str) -> Match:
    """The packets that are meant, CompileError where none are; empty text: all."""
    name, *rest = text.split("/")
    if not text:
        return Match()
    if name.lower() == "protocol" and rest:
        name, *rest = rest
    elif name.isascii() and name.isdecimal() and not rest:
        number = int(name[:6])
        said = [f"tcp/{number} or udp/{number} for the port"] if 1 <= number <= LAST_PORT else []
        said += [f"protocol/{number} for the IP protocol of that number"] if 1 <= number <= 255 else []
        hint = ", ".join(said) or "tcp/80 for a port, protocol/47 for an IP protocol"
        raise CompileError([error("CR842", f"{text} could be a port or a protocol", hint=hint)])
    known = {n.lower(): n for n in PROTOCOL_NAMES.values()}
    protocol = _parsed(text, lambda: parse_protocol(known.get(name.lower(), name)))
    if protocol in PORT_PROTOCOLS and len(rest) <= 1:
        ports = tuple(_parsed(text, lambda r=r: parse_port(r)) for r in rest)  # type: ignore[misc]
        return Match(protocol=protocol, destination=Side(ports=ports))
    if protocol in (ICMP, ICMPV6) and len(rest) <= 2:
        numbers = [_parsed(text, lambda r=r: parse_number(r, "an ICMP type or code", 0, 255, "CR318")) for r in rest]  # type: ignore[misc]
        match = Match(protocol=protocol, icmp=Icmp(*numbers) if numbers else None)
        if why := opens_nothing(match):
            raise CompileError([error("CR841", f"{text} opens no flow: {why}", hint="no rule decides about it")])
        return match
    if rest:
        hint = "PROTOCOL, PROTOCOL/PORT with tcp, udp and sctp, icmp/TYPE or icmp/TYPE/CODE, protocol/NUMBER"
        raise CompileError([error("CR819", f"{text!r} is no kind of packet", hint=hint)])
    return Match(protocol=protocol)


def _parsed(text: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except BadValueError as e:
        raise CompileError([error("CR819", f"in {text!r}: {e.message}", hint=e.hint)]) from e
