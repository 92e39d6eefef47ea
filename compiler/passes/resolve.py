"""Names in a network's rules in, what they stand for out: definitions become nets and ports, networks selectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, TypeVar

from calico_rkt.compiler.diagnostics import Diagnostic, error
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import NameRef, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.resolved import is_resolved
from calico_rkt.compiler.ir.selector import all_of, any_of, has
from calico_rkt.compiler.text.fields import did_you_mean

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definition, Definitions

T = TypeVar("T", IPv4Network | IPv6Network, PortRange)


def resolve(network: Network, known: Definitions | None) -> tuple[Network, tuple[Diagnostic, ...]]:
    """Every NameRef replaced; a name that nothing defines is an error and its rule is left out.

    >>> from calico_rkt.compiler.ir.model import Action, Match
    >>> rule = Rule(Action.ALLOW, Match(source=Side(networks=(NameRef("web"), NameRef("Db")))))
    >>> done, _ = resolve(Network("web", "web", ingress=(rule,)), None)
    >>> str(done.ingress[0].match.source.selector)
    'has(db-0a276e36) || has(web)'
    """
    found: list[Diagnostic] = []
    ingress = _rules(network.ingress, known, found)
    egress = _rules(network.egress, known, found)
    return replace(network, ingress=ingress, egress=egress), tuple(found)


def _rules(rules: Iterable[Rule], known: Definitions | None, found: list[Diagnostic]) -> tuple[Rule, ...]:
    out = []
    for rule in rules:
        before = len(found)
        source = _side(rule.match.source, known, found)
        destination = _side(rule.match.destination, known, found)
        if source is rule.match.source and destination is rule.match.destination:
            out.append(rule)
        elif len(found) == before:
            out.append(replace(rule, match=replace(rule.match, source=source, destination=destination)))
    return tuple(out)


def _side(side: Side, known: Definitions | None, found: list[Diagnostic]) -> Side:
    if is_resolved(side):
        return side
    nets, ports = (known.nets, known.ports) if known else ((), ())
    selector = side.selector
    if side.networks:
        members = any_of(has(object_id(name.name)) for name in side.networks)
        selector = members if selector is None else all_of((selector, members))
    return replace(
        side,
        nets=_values(side.nets, nets, "nets", "CR401", found),
        not_nets=_values(side.not_nets, nets, "nets", "CR401", found),
        ports=_values(side.ports, ports, "ports", "CR402", found),
        not_ports=_values(side.not_ports, ports, "ports", "CR402", found),
        selector=selector,
        networks=(),
    )


def _values(
    values: Iterable[T | NameRef], known: Iterable[Definition[T]], group: str, code: str, found: list[Diagnostic]
) -> tuple[T, ...]:
    defined = {d.name: d.values for d in known}
    out: list[T] = []
    for value in values:
        if not isinstance(value, NameRef):
            out.append(value)
        elif value.name in defined:
            out += defined[value.name]
        else:
            hint = did_you_mean(value.name, defined) if defined else f"no file has definitions: {{{group}: ...}}"
            if code == "CR402":
                hint += "; named ports as in Kubernetes are not supported, write the number"
            found.append(error(code, f"no {group} are defined as {value.name!r}", value.span, hint=hint))
    return tuple(out)
