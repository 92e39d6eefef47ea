"""Nothing but the template in; the script of the table's base, the part that no network owns, out."""

from __future__ import annotations

from functools import cache

from calico_rkt import templates
from calico_rkt.plugin.enforce.nft import layout
from calico_rkt.plugin.enforce.nft.elements import OURS, TABLE

_FAMILIES = (
    {"version": 4, "type": "ipv4_addr", "header": "ip"},
    {"version": 6, "type": "ipv6_addr", "header": "ip6"},
)
_TO_HOST = (130, 131, 132, 133, 135, 136)
"""ICMPv6 types that Felix lets a workload send to its host before any policy: multicast listeners, router
solicitation, neighbours (felix/rules/static.go)."""
_FROM_LINK_LOCAL = (130, 131, 132, 136, 143)
"""Multicast listeners and answers to the host's own solicitations, from a link-local or no address. No solicitation:
the host keeps a neighbour for each address that asks. From an endpoint's own address all of ICMPv6 passes here."""

BASE_RULES = {
    "prerouting": 5,
    "forward": 5,
    "input": 7,
    "postrouting": 2,
    "egress": 2,
    "ingress": 2,
    "foreign": 7,
    "known": 8,
    "strays": 4,
}
"""How many rules each chain of the base has: a chain that somebody flushed stands there and lets all through."""

_CHAINS = "long lists are maps, neighbours joined, members counted; ports lead to chains, and these to one"
"""The form of networks' chains, a part of the text: to a build with another form the table is of another layout."""
_TEMPLATE = "nftables/base.nft.j2"


@cache
def measure() -> layout.Measure:
    """What a table with this build's base has when it is whole. Renders nothing: every ADD without an agent asks."""
    filled_in = repr((OURS, _FAMILIES, _TO_HOST, _FROM_LINK_LOCAL, _CHAINS)).encode()
    return layout.measure_of(templates.data(_TEMPLATE) + filled_in, BASE_RULES)


@cache
def base_script() -> str:
    """The idempotent script that puts the base in place and leaves elements and networks' chains alone.

    Kept once rendered: whoever restores a flushed table must not spend its open time on a template.
    """
    from calico_rkt.compiler.targets.printing import (
        render_template,
    )  # Jinja2: 60 ms, and an ordinary ADD never comes here

    base = render_template(
        _TEMPLATE,
        table=TABLE,
        ours=OURS,
        families=_FAMILIES,
        to_host=", ".join(map(str, _TO_HOST)),
        from_link_local=", ".join(map(str, _FROM_LINK_LOCAL)),
    )
    return base + layout.measure_script(measure())
