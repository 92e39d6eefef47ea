"""A Network and what was read back of it in, their first difference out.

Writers may split a rule into several (long lists, address pairs, families, members). So a rule is a product
of finite sets, one a field, and a run of written rules stands for it when their products fill it exactly.
What can not be split (negations, ICMP types, the protocol) has to be equal as it is. The order is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from calico_rkt.compiler.ir.canonical import LINES, digest
from calico_rkt.compiler.ir.model import ICMP, Match, Network, Rule, Side
from calico_rkt.compiler.ir.resolved import nets, ports, versions
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.ir.selector import Op, Selector
from calico_rkt.compiler.targets.readback import ReadBack

_Set = frozenset[object]
Peers = Callable[[Side], _Set]
"""A side's selectors as the set of those whom they let through: in words of a label, or of members."""
MakePeers = Callable[[Iterable[Rule]], Peers]
"""The Peers of all rules that take part in one comparison."""

OTHER, OUTSIDE = "*other", "*outside"
_ANY: _Set = frozenset({"*any"})
_FIELDS = 7


@dataclass(frozen=True, slots=True)
class _Product:
    rule: Rule
    fixed: object
    fields: tuple[_Set, ...]

    @property
    def size(self) -> int:
        return prod(len(field) for field in self.fields)


def difference(network: Network, back: ReadBack) -> str | None:
    """The first thing beside its rules that back does not say as network does, in words; None when they agree.

    Rules in a form of their own have a digest of their own.
    """
    if back.form != LINES:
        network = replace(network, ingress=back.ingress, egress=back.egress)
    for what, wanted, found in (
        ("id", network.id, back.id),
        ("label", (network.id,), back.labels),
        ("name", network.name, back.name or network.name),
        ("digest", digest(network), back.digest),
        ("endpoint_to_host", network.endpoint_to_host, back.endpoint_to_host or network.endpoint_to_host),
        ("log_limit", network.log_limit, back.log_limit or network.log_limit),
    ):
        if wanted != found:
            return f"the {what} is {wanted!r}, but reads back as {found!r}"
    return None


def rules_differ(name: str, wanted: Sequence[Rule], found: Sequence[Rule], peers: MakePeers) -> str | None:
    """The first of a direction's rules that is not found as it is wanted, in words; None when they agree.

    name is the direction's.
    """
    of = peers((*wanted, *found))
    # A rule that can match nothing may be written as nothing.
    products = (p for rule in found if (p := _product(rule, of)).size)
    part = next(products, None)
    for number, rule in enumerate(wanted, 1):
        whole = _product(rule, of)
        run, missing = [], whole.size
        while missing > 0 and part is not None and _part_of(part, whole):
            run.append(part.fields)
            missing -= part.size
            part = next(products, None)
        if whole.size and (missing or _merged(run) != {whole.fields}):
            reads = "something else" if run else "nothing"
            if missing and part is not None:
                reads = str(part.rule.match)
            line = f" (line {rule.span.line})" if rule.span else ""
            return f"{name} rule {number}{line} is {_words(rule)}, but reads back as {reads}"
    if part is not None:
        return f"{name} has no more rules, but reads back with {_words(part.rule)}"
    return None


def without_empty(rules: Sequence[Rule], peers: MakePeers) -> tuple[Rule, ...]:
    """The rules that can match something: the others may be written as nothing.

    No other field of a product can be empty.
    """
    of = peers(rules)
    return tuple(r for r in rules if _families(r.match) and of(r.match.source) and of(r.match.destination))


def by_label(_: Iterable[Rule]) -> Peers:
    """Peers for a cluster, where an endpoint may carry any labels: only an OR of has() may be split."""
    return _label_peers


def by_member(rules: Iterable[Rule]) -> Peers:
    """Peers for one host's own endpoints: each carries the label of its network and no other."""
    selectors = selectors_of(rules)
    keys = {selector: labels_of((selector,)) for selector in selectors}
    endpoints: _Set = frozenset({OTHER}.union(*keys.values()))
    # An endpoint of a network that the selector does not name is to it like one without labels.
    chosen = {
        selector: (endpoints - named if selector.matches({}) else frozenset())
        | {key for key in named if selector.matches({key: ""})}
        for selector, named in keys.items()
    }

    def of(side: Side) -> _Set:
        found = endpoints | {OUTSIDE} if side.selector is None else chosen[side.selector]
        return found if side.not_selector is None else found - chosen[side.not_selector]

    return of


def _label_peers(side: Side) -> _Set:
    keys = None if side.selector is None else _has_keys(side.selector)
    if keys is not None and side.not_selector is None:
        return frozenset(("has", key) for key in keys)
    given = (side.selector, side.not_selector)
    return frozenset({tuple(None if s is None else str(s) for s in given)}) if any(given) else _ANY


def _has_keys(selector: Selector) -> tuple[str, ...] | None:
    parts = selector.operands if selector.op is Op.OR else (selector,)
    return tuple(p.key for p in parts) if all(p.op is Op.HAS for p in parts) else None


def origins(wanted: Sequence[Rule], found: Sequence[Rule], peers: MakePeers) -> tuple[Rule | None, ...]:
    """The rule that each written rule is a part of, where rules_differ() is silent; None where that can't be told."""
    of = peers((*wanted, *found))
    whole = [_product(rule, of) for rule in wanted]
    missing = [product.size for product in whole]
    at = 0
    origin: list[Rule | None] = []
    for product in (_product(rule, of) for rule in found):
        while product.size and at < len(whole) and (missing[at] <= 0 or not _part_of(product, whole[at])):
            at += 1
        here = product.size and at < len(whole)
        if here:
            missing[at] -= product.size
        origin.append(whole[at].rule if here else None)
    return tuple(origin)


def _words(rule: Rule) -> str:
    return f"{rule.action.value} {rule.match}"


def _product(rule: Rule, peers: Peers) -> _Product:
    m = rule.match
    source, destination = m.source, m.destination
    fields: tuple[_Set, ...] = (
        _families(m),
        frozenset(nets(source.nets)) or _ANY,
        frozenset(nets(destination.nets)) or _ANY,
        frozenset(ports(source.ports)) or _ANY,
        frozenset(ports(destination.ports)) or _ANY,
        peers(source),
        peers(destination),
    )
    negations = (source.not_nets, destination.not_nets, source.not_ports, destination.not_ports)
    fixed = (rule.action, m.protocol, m.not_protocol, m.icmp, m.not_icmp, *map(frozenset, negations))
    return _Product(rule, fixed, fields)


def _families(m: Match) -> _Set:
    """Addresses and ICMP types say the family too, as in Felix's filter (felix/rules/policy.go)."""
    found = {m.ip_version} if m.ip_version else {4, 6}
    if named := versions(m.source, m.destination):
        found &= named
    if m.icmp or m.not_icmp:
        found &= {4 if m.protocol == ICMP else 6}
    return frozenset(found)


def _part_of(part: _Product, whole: _Product) -> bool:
    return part.fixed == whole.fixed and all(p <= w for p, w in zip(part.fields, whole.fields, strict=True))


def _merged(run: Iterable[tuple[_Set, ...]]) -> set[tuple[_Set, ...]]:
    """The products joined along each field, again and again: cut as writers cut, they end as the one they came from."""
    products, before = set(run), 0
    while len(products) > 1 and len(products) != before:
        before = len(products)
        for field in range(_FIELDS):
            groups: dict[tuple[_Set, ...], set[object]] = {}
            for product in products:
                groups.setdefault((*product[:field], _ANY, *product[field + 1 :]), set()).update(product[field])
            products = {(*k[:field], frozenset(v), *k[field + 1 :]) for k, v in groups.items()}
    return products
