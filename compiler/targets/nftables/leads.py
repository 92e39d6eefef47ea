"""A line that leads to chains in; where it leads, and what that means for each packet, out: read as nft does.

`tcp dport vmap { 22 : goto in-web/1, ... }`, or `goto in-web/3` alone: whoever is led away does not come back.
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
    """Packets of a protocol, and perhaps a family, to one of these ports are another chain's; None: all of them."""

    match: Match | None
    chain: str


def read_leads(words: Sequence[str]) -> tuple[Lead, ...]:
    """A lead for each chain of the map, or the one that the line is; CompileError (CR510) where it is anything else.

    >>> for lead in read_leads("tcp dport vmap { 22 : goto in-web/1 , 80-90 : goto in-web/2 , }".split()):
    ...     print(lead.chain, [(port.lo, port.hi) for port in lead.match.destination.ports])
    in-web/1 [(22, 22)]
    in-web/2 [(80, 90)]
    """
    if len(words) == 2 and words[0] == "goto":
        return (Lead(None, words[1]),)
    at = words.index("vmap") if "vmap" in words else 0
    front, body = words[:at], words[at + 2 : -1]
    if len(front) not in (2, 5) or front[-1] != "dport" or words[at + 1 : at + 2] != ["{"] or words[-1] != "}":
        raise unreadable("nftables", f"what leads where in `{' '.join(words[:6])}`?")
    if len(front) == 5 and front[:2] != ["meta", "nfproto"]:
        raise unreadable("nftables", f"what leads where in `{' '.join(front)}`?")
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
    if lead.match is None:
        yield from ((rule, rule) for rule in rules)
        return
    version, protocol, mine = lead.match.ip_version, lead.match.protocol, ports(lead.match.destination.ports)
    for rule in rules:
        m = rule.match
        common = tuple(_common(mine, ports(m.destination.ports) or _EVERY))
        if version is not None and m.ip_version not in (None, version):
            continue
        if m.protocol in (None, protocol) and m.not_protocol != protocol and common:
            destination = replace(m.destination, ports=common)
            family = version or m.ip_version
            narrow = replace(m, ip_version=family, protocol=protocol, not_protocol=None, destination=destination)
            yield Rule(rule.action, narrow), rule


def _common(some: Sequence[PortRange], others: Sequence[PortRange]) -> Iterator[PortRange]:
    for one in some:
        for other in others:
            if one.lo <= other.hi and other.lo <= one.hi:
                yield PortRange(max(one.lo, other.lo), min(one.hi, other.hi))
