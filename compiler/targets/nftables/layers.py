"""A rule's match in; where it is written, so that few rules need be cut out of others, out."""

from __future__ import annotations

from calico_rkt.compiler.ir.model import SCTP, TCP, UDP, Match, Rule

TRANSPORTS = (TCP, UDP, SCTP)
LED = 4
"""The layer of what is led away by its port: behind nets of a protocol, before all that is wider."""
NETS = 7
"""The layer of nets of any protocol, whoever has these addresses."""


def layer_of(m: Match) -> int:
    """The order of writing: what says more comes first: of ICMP, of protocols, of nets; and selectors come last."""
    if m.icmp is not None:
        return 0 if m.icmp.code is not None else 1
    sides = (m.source, m.destination)
    chosen = any(side.selector is not None or side.not_selector is not None for side in sides)
    wide = not any(side.nets for side in sides)
    kind = 2 * (m.protocol is None) + wide
    return 2 + 2 * kind + (kind > 0) + chosen


def is_about_ports(rule: Rule) -> bool:
    """Of a destination's ports and no nets: what else is asked of them is asked in a line."""
    m = rule.match
    return m.protocol in TRANSPORTS and bool(m.destination.ports) and not (m.source.nets or m.destination.nets)
