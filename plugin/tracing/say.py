"""Told packets in; lines for people, and objects for programs, out. No effects."""

from __future__ import annotations

from collections.abc import Iterator

from calico_rkt.compiler.diagnostics import counted, printable
from calico_rkt.compiler.ir.model import PROTOCOL_NAMES
from calico_rkt.plugin.tracing.asked import Asked
from calico_rkt.plugin.tracing.events import Header
from calico_rkt.plugin.tracing.packets import Fate
from calico_rkt.plugin.tracing.told import Told, end
from calico_rkt.plugin.tracing.watch import Seen

_WORDS = {Fate.DROPPED: "DROPPED", Fate.PASSED: "passed", Fate.LOST: "GONE"}
_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"))


def packet_words(header: Header) -> str:
    """One packet as a person would write it down: `TCP 10.2.0.5:49152 -> 10.1.0.5:80 SYN`."""
    what = PROTOCOL_NAMES.get(header.protocol, f"protocol {header.protocol}")
    if header.type is not None:
        what += f" type {header.type} code {header.code}"
    words = f"{what} {end(header.source, header.sport)} -> {end(header.destination, header.dport)}"
    return f"{words} {_flags(header.flags)}".rstrip() if header.flags is not None else words


def _flags(flags: int) -> str:
    return ",".join(word for bit, word in _FLAGS if flags & bit)


def lines(told: Told, clock: str) -> Iterator[str]:
    """A packet in a few lines."""
    reply = " reply" if told.reply else ""
    yield f"{clock} {_WORDS[told.fate]}{reply} {packet_words(told.header)}"
    if told.sender or told.receiver:
        yield f"    from {told.sender or told.header.source} to {told.receiver or told.header.destination}"
    if told.sent_to:
        yield f"    sent to {told.sent_to}, translated on the way (DNAT: a published port)"
    if told.left_as:
        yield f"    left as {told.left_as} (masquerade or SNAT)"
    for number, decision in enumerate(told.by, 1):
        last = number == len(told.by) and told.fate is not Fate.PASSED
        place = f"{decision.line} " if decision.line else ""
        yield f"    {'by ' if last else 'let on by '}{decision.stage}: {place}{decision.rule}"
        if decision.note:
            yield f"       {decision.note}"
    if told.kernel:
        yield f"    nftables: {told.kernel}"
    if told.cure:
        yield f"    look: {told.cure}"


def same(told: Told) -> object:
    """What two packets have in common that are told once."""
    h = told.header
    return told.fate, told.reply, h.protocol, h.source, h.destination, _port(h, told), h.type, told.by, told.kernel


def _port(header: Header, told: Told) -> int | None:
    """The port that somebody listens on."""
    return header.sport if told.reply else header.dport


def summary(seen: Seen, asked: Asked) -> Iterator[str]:
    """What came of it in the end."""
    if seen.packets:
        gone = f", {seen.lost} gone where no rule of nftables was" if seen.lost else ""
        yield f"{counted(seen.packets, 'packet')}: {seen.dropped} dropped, {seen.passed} passed{gone}"
        if not (seen.dropped or seen.lost):
            yield _all_passed(seen, asked)
    elif seen.parts:
        yield f"nothing of that came whole: only {counted(seen.parts, 'fragment')}, and the other parts did not come"
        yield "the kernel waits for all of them, and policy is about the whole packet: look where the others end"
    elif seen.sent:
        sent = counted(seen.sent, "packet")
        yield f"nothing of that came. {asked.source} sent {sent}, all to others or to other ports"
        yield "look which address and port it really uses; without a port, all that goes to the other end is shown"
    else:
        yield f"nothing came: no packet from {asked.source} arrived at this host at all"
        yield "nobody sent, or the packets end before they are here: look inside the container, or tcpdump the uplink"
    if seen.skipped:
        yield f"{counted(seen.skipped, 'packet')} came at too many a second, and nobody looked at them"
    if seen.incomplete:
        yield "the kernel told of more packets than could be read: some are missing here"


def _all_passed(seen: Seen, asked: Asked) -> str:
    if seen.replies:
        return "all of them passed, and answers came back: what is refused is refused by who answers"
    return f"all of them passed, and no answer came: look whether {asked.destination} listens there (ss -ltnu, inside)"


def values(told: Told) -> dict[str, object]:
    """A packet for JSON."""
    h = told.header
    return {
        "fate": told.fate.value,
        "reply": told.reply,
        "protocol": PROTOCOL_NAMES.get(h.protocol, h.protocol),
        "source": {"ip": h.source, "port": h.sport, "endpoint": told.sender or None},
        "destination": {"ip": h.destination, "port": h.dport, "endpoint": told.receiver or None},
        "icmp": None if h.type is None else {"type": h.type, "code": h.code},
        "flags": None if h.flags is None else _flags(h.flags),
        "sent_to": told.sent_to or None,
        "left_as": told.left_as or None,
        "stages": [{"stage": d.stage, "rule": d.rule, "line": d.line or None, "note": d.note or None} for d in told.by],
        "kernel": told.kernel or None,
        "look": told.cure or None,
    }


def seen_values(seen: Seen, asked: Asked) -> dict[str, object]:
    """The end, for JSON."""
    return {
        "from": str(asked.source),
        "to": str(asked.destination),
        "dropped": seen.dropped,
        "passed": seen.passed,
        "lost": seen.lost,
        "replies": seen.replies,
        "sent": seen.sent,
        "skipped": seen.skipped,
        "incomplete": seen.incomplete,
        "words": [printable(line) for line in summary(seen, asked)],
    }
