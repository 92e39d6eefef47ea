"""Packets, rules and fates in, the words and plain values that every command says them with out."""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.ir.model import PORT_PROTOCOLS, PROTOCOL_NAMES, Rule
from calico_rkt.compiler.review.pair import HOST_DECIDES, Fate
from calico_rkt.compiler.review.rule_lines import describe


def packet_values(packet: Packet) -> dict[str, object]:
    """The same for JSON."""
    out: dict[str, object] = {"protocol": PROTOCOL_NAMES.get(packet.protocol, packet.protocol)}
    for name, end in (("source", packet.source), ("destination", packet.destination)):
        values: dict[str, object] = {"ip": str(end.address), "labels": None if end.labels is None else dict(end.labels)}
        if packet.protocol in PORT_PROTOCOLS:
            values["port"] = end.port
        out[name] = values
    if packet.icmp is not None:
        out["icmp"] = {"type": packet.icmp.type, "code": packet.icmp.code}
    return out


def rule_words(rule: Rule | None) -> str:
    """A deciding rule with its place: `profiles/web.yaml:7 Allow TCP to port 80`."""
    words = rule_says(rule)
    return f"{place(rule.span)} {words}" if rule and rule.span else words


def rule_says(rule: Rule | None) -> str:
    """The same for who shows its place beside it."""
    if rule is None:
        return "no rule allows it"
    return "left to the host" if rule is HOST_DECIDES else describe(rule)


def fate_words(fate: Fate) -> str:
    """What decides a packet, in order: `egress of a: x.yaml:3 Allow everything; ingress of b: no rule allows it`."""
    if not fate.rules:
        return "the host reaches its own containers always" if fate.allowed else "no such flow"
    return "; ".join(f"{stage.words}: {rule_words(rule)}" for stage, rule in fate.rules)


def verdict_words(fate: Fate) -> str:
    return {True: "allowed", False: "denied", None: "left to the host"}[fate.allowed]


def fate_values(fate: Fate) -> dict[str, object]:
    """A fate for JSON; a stage that no rule decides has rule null."""
    return {
        "verdict": {True: "Allow", False: "Deny", None: "host"}[fate.allowed],
        "stages": [
            {
                "stage": stage.words,
                "rule": None if rule is None else rule_words(rule),
                "line": place(rule.span) if rule is not None and rule.span else None,
            }
            for stage, rule in fate.rules
        ],
    }


def place(span: Span | None) -> str:
    return f"{span.path}:{span.line}" if span else ""
