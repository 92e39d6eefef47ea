"""Recorded endpoints and a kernel in; what has to be so while ADDs are under way, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.attest.membership import own_element, pools
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.reading import Seen
from calico_rkt.plugin.attest.ruleset import OURS, Table


def so_far(wanted: Wanted, seen: Seen, begun: Mapping[str, Sequence[Net]]) -> Wanted:
    """What is wanted, of ADDs that have not finished only as far as the kernel has it.

    An ADD is recorded first. Then a network's first one puts the network's ranges in, then all of its chains; then each
    puts its endpoint in, all of it at once. One that was killed stands like this until a retry, DEL or gc.
    begun: by id the ranges of networks of which no ADD has finished; they are not in wanted.
    """
    table = seen.rules.tables.get(OURS) or Table(OURS, {}, {})
    inside = table.sets["endpoints"].elements if "endpoints" in table.sets else {}
    endpoints = tuple(e for e in wanted.endpoints if e.settled or own_element(e) in inside)
    needed = dict.fromkeys([*wanted.ranges, *(n for e in endpoints for n in begun.get(e.network_id, ()))])
    others = [n for nets in begun.values() for n in nets if n not in needed]
    return replace(wanted, endpoints=endpoints, ranges=(*needed, *_there(table, tuple(needed), others)))


def _there(table: Table, needed: Sequence[Net], begun: Sequence[Net]) -> Sequence[Net]:
    """Those of begun that the kernel has: nets that are neighbours are one element there."""
    have = {name: table.sets[name].elements for name in pools(()) if name in table.sets}
    if have == pools((*needed, *begun)):
        return begun
    return [
        net
        for net in begun
        if any(keys and keys.items() <= have.get(n, {}).items() for n, keys in pools([net]).items())
    ]
