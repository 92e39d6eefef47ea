"""A match in, why none of its packets opens a flow out: ICMP types that connection tracking leads or throws away."""

from __future__ import annotations

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PROTOCOL_NAMES, Match

OPENING = {
    ICMP: frozenset({8, 13, 15, 17}),
    ICMPV6: frozenset({128, 130, 131, 132, 133, 134, 135, 136, 139, 143, 151, 152}),
}
"""ICMP types that are no reply and no error: the kernel opens a flow for them, or tracks none and asks the policy.

Source: valid_new and noct_valid_new in the kernel's nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c;
a test asks the kernel itself. Older ones call 151 and 152 (multicast router discovery) invalid.
"""
_ERRORS = {ICMP: frozenset({3, 4, 5, 11, 12}), ICMPV6: frozenset(range(128))}
_REPLIES = {ICMP: frozenset({0, 14, 16, 18}), ICMPV6: frozenset({129, 140})}


def opens_nothing(match: Match) -> str:
    """Why no packet of a match opens a flow, whatever the rules say of it; empty where one can."""
    if match.icmp is None or match.protocol not in OPENING or match.icmp.type in OPENING[match.protocol]:
        return ""
    if match.icmp.type in _ERRORS[match.protocol]:
        return "such packets are errors about others: they follow the flow that they are about, or are dropped"
    if match.icmp.type in _REPLIES[match.protocol]:
        return "such packets are replies: they follow the flow that they answer, or are dropped"
    name = PROTOCOL_NAMES[match.protocol]
    return f"connection tracking calls {name} type {match.icmp.type} invalid: such packets are always dropped"
