"""A map of ports that lead to chains in; where it leads, and what that means for each packet, out: read as nft does.

`tcp dport vmap { 22 : goto in-web/1, ... }`: by goto, so whoever is led away does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from calico_rkt.compiler.ir.model import Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.resolved import ports
from calico_rkt.compiler.targets.nftables.read_rule import read_rule
from calico_rkt.compiler.targets.readback import unreadable

_EVERY = (PortRange(0, 65535),)


@dataclass(frozen=True, slots=True)
class Lead:
    """Packets of a protocol to one of these ports are another chain's."""

    match: Match
    chain: str


def read_leads(words: Sequence[str]) -> tuple[Lead, ...]:
    """A lead for each chain of the map; CompileError (CR510) where a line with goto is anything else.

    >>> for lead in read_leads("tcp dport vmap { 22 : goto in-web/1 , 80-90 : goto in-web/2 , }".split()):
    ...     print(lead.chain, [(port.lo, port.hi) for port in lead.match.destination.ports])
    in-web/1 [(22, 22)]
    in-web/2 [(80, 90)]
    """
    front, key, body = words[:2], words[1:2], words[4:-1]
    if key != ["dport"] or words[2:4] != ["vmap", "{"] or words[-1] != "}":
        raise unreadable("nftables", f"what leads where in `{' '.join(words[:6])}`?")
    by_chain: dict[str, list[Match]] = {}
    for at in range(0, len(body), 5):
        element = body[at : at + 5]
        if element[1:3] != [":", "goto"] or element[4:] not in ([","], []):
            raise unreadable("nftables", f"`{' '.join(element)}` leads nowhere")
        rule = read_rule([*front, element[0], "return"], set())
        if not isinstance(rule, Rule):
            raise unreadable("nftables", f"`{element[0]}` is no port")
        by_chain.setdefault(element[3], []).append(rule.match)
    return tuple(
        Lead(replace(found[0], destination=Side(ports=tuple(p for m in found for p in m.destination.ports))), chain)
        for chain, found in by_chain.items()
    )


def led(lead: Lead, rules: Iterable[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """What a chain's rules decide of the packets that come to it: each rule so, and as it stands there."""
    protocol, mine = lead.match.protocol, ports(lead.match.destination.ports)
    for rule in rules:
        m = rule.match
        common = tuple(_common(mine, ports(m.destination.ports) or _EVERY))
        if m.protocol in (None, protocol) and m.not_protocol != protocol and common:
            destination = replace(m.destination, ports=common)
            yield Rule(rule.action, replace(m, protocol=protocol, not_protocol=None, destination=destination)), rule


def _common(some: Sequence[PortRange], others: Sequence[PortRange]) -> Iterator[PortRange]:
    for one in some:
        for other in others:
            if one.lo <= other.hi and other.lo <= one.hi:
                yield PortRange(max(one.lo, other.lo), min(one.hi, other.hi))
