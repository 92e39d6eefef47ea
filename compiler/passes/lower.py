"""A network's name, its override and the default rules in, a Network with every rule in its place out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.grammar.defaults import DefaultRules
from calico_rkt.compiler.grammar.rules import SELF, Item
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network, Rule, Side, ToHost

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import Override


def lower(name: str, override: Override | None, defaults: DefaultRules) -> Network:
    """The network's policy, names in it not yet resolved. Each rule keeps the place that it came from.

    A direction that the override leaves out is the default rules; `default` in a list is where they stand.
    """
    return Network(
        name=name,
        id=object_id(name),
        ingress=tuple(_direction(name, override.ingress if override else None, defaults.ingress)),
        egress=tuple(_direction(name, override.egress if override else None, defaults.egress)),
        endpoint_to_host=(override.endpoint_to_host if override else None) or ToHost.DROP,
    )


def _direction(name: str, items: Iterable[Item] | None, defaults: Iterable[Rule]) -> Iterator[Rule]:
    own = tuple(_with_own_name(rule, name) for rule in defaults)
    if items is None:
        yield from own
        return
    for item in items:
        if isinstance(item, Rule):
            yield item
        else:
            yield from own


def _with_own_name(rule: Rule, name: str) -> Rule:
    """`network: self` of a default rule set is whatever network the set is used for."""
    m = rule.match
    return replace(rule, match=replace(m, source=_side(m.source, name), destination=_side(m.destination, name)))


def _side(side: Side, name: str) -> Side:
    return replace(side, networks=tuple(replace(n, name=name) if n.name == SELF else n for n in side.networks))
