"""A side's selectors in, lookups in sets of member addresses out.

A local endpoint carries the label of its own network and no other, so a selector is a choice among the
networks that it mentions, the endpoints of any other network, and (for notSelector) whoever is no endpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calico_rkt.compiler.ir.model import Side
from calico_rkt.compiler.ir.rule_parts import labels_of

if TYPE_CHECKING:  # whoever writes lines alone need not load the packet algebra
    from calico_rkt.compiler.packets.labels import Labels

_OTHER = ""  # no network's id is empty


@dataclass(frozen=True, slots=True)
class Lookup:
    """One way to be the peer: in all of these sets and in none of those. Names are ids; "" is every endpoint."""

    within: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def set_names(ids: Iterable[str], version: int | None) -> list[str]:
    """The sets of a Lookup, as rules of an IP version look into them."""
    return [f"@m{version}-{network_id}" if network_id else f"@all{version}" for network_id in ids]


def lookups(side: Side) -> tuple[Lookup, ...]:
    """The disjoint ways to be this side's peer; none where nobody can be."""
    if side.selector is None and side.not_selector is None:
        return (Lookup(),)
    known = sorted(labels_of(s for s in (side.selector, side.not_selector) if s is not None))
    endpoints = {key: {key: ""} for key in known} | {_OTHER: {}}
    chosen = {name for name, labels in endpoints.items() if _admits(side, labels)}
    return _ways(known, chosen, outside=side.selector is None)


def lookups_of_classes(classes: Sequence[Labels], mask: int) -> tuple[Lookup, ...]:
    """The disjoint ways to be of one of the classes of a packets.space whose bits are set in mask.

    The space must have been made with the ids of all networks that its rules name.
    """
    named = ["" if not labels else next(iter(labels)) for labels in classes]
    inside = range(1, len(classes))  # the first class is whoever is no endpoint
    chosen = {named[n] for n in inside if mask >> n & 1}
    return _ways(sorted(named[n] for n in inside if named[n]), chosen, outside=bool(mask & 1))


def _ways(known: Sequence[str], chosen: Collection[str], *, outside: bool) -> tuple[Lookup, ...]:
    left_out = tuple(key for key in known if key not in chosen)
    if _OTHER in chosen:
        return (Lookup(() if outside else (_OTHER,), left_out),)
    members = tuple(Lookup((key,)) for key in known if key in chosen)
    return (Lookup((), (_OTHER,)), *members) if outside else members


def _admits(side: Side, labels: dict[str, str]) -> bool:
    if side.selector is not None and not side.selector.matches(labels):
        return False
    return side.not_selector is None or not side.not_selector.matches(labels)
