"""A network and how Felix may enforce on the nodes in, the rules that would stop a Felix out.

Tried with Felix of 2026-08-22 (3.33 in the making, nftables and iptables mode): an ICMP code in nftables mode is
written as `icmp type 8 code 0`, which nft refuses; Felix panics after its retries, comes back and panics again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.ir.model import FELIX_MODES, Network, Rule
from calico_rkt.compiler.targets.limits import refuse

NFTABLES, IPTABLES, EBPF = FELIX_MODES


@dataclass(frozen=True, slots=True)
class Nodes:
    """The modes that some node may run; why says how that is known. Not sure: who knows better is believed."""

    modes: frozenset[str] = frozenset(FELIX_MODES)
    why: str = "nothing here says that no node runs nftables mode"
    sure: bool = True


ANY = Nodes(sure=False)
"""Where nobody says anything: any mode."""
JUDGED = Nodes(frozenset(), "")
"""For what is published already, or was judged before: nothing is refused."""


def unfit(network: Network, nodes: Nodes = ANY) -> Iterator[Diagnostic]:
    """CR550 for each rule with an ICMP code where a node may run nftables mode; CR551 for what iptables mode can't say.

    A notProtocol beside another protocol is taken out by the merge pass, as it says nothing.
    """
    if IPTABLES in nodes.modes:
        for where, rule in _rules(network):
            if rule.match.protocol is not None and rule.match.not_protocol is not None:
                why = "Felix in iptables mode writes protocol and notProtocol as two -p, and programs nothing any more"
                same = rule.match.protocol == rule.match.not_protocol
                hint = "take the rule out: it matches nothing" if same else "take notProtocol out: it says nothing"
                yield refuse("CR551", where, rule, why, hint)
    if NFTABLES not in nodes.modes:
        return
    for where, rule in coded(network):
        why = (
            "Felix in nftables mode can't say an ICMP code: nft refuses what it writes, Felix panics again and again, "
            f"and no policy of that node changes any more (tried: Felix of August 2026); {nodes.why}"
        )
        hint = "leave the code out; where no node runs nftables mode, say so: settings: {felix: [iptables, ebpf]}"
        if nodes.sure:
            hint = "leave the code out, or let no node run nftables mode (nftablesMode: Disabled)"
        yield refuse("CR550", where, rule, why, hint)


def coded(network: Network) -> Iterator[tuple[str, Rule]]:
    """The rules with an ICMP code, each with its place in its direction."""
    for where, rule in _rules(network):
        if any(i is not None and i.code is not None for i in (rule.match.icmp, rule.match.not_icmp)):
            yield where, rule


def _rules(network: Network) -> Iterator[tuple[str, Rule]]:
    for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
        for number, rule in enumerate(rules, 1):
            yield f"{direction} rule {number}", rule
