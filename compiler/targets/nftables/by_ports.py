"""A list's rules about ports, and the others, in; classes of ports in, each with the chain that they lead to, out.

A chain has its rules about ports as lines, in their order. Of the other rules it has what has to be asked before one
of these lines: what stands before it in the list and says otherwise. All the rest is behind the ports, in one chain
for all of them. So nets are parted by the rule that decides them first: then each part may be asked earlier than it
stands, or a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from itertools import islice, product
from typing import TYPE_CHECKING

from calico_rkt.compiler.ir.model import Action, Net, Rule, Side
from calico_rkt.compiler.packets.space import DESTINATION, SOURCE, V6
from calico_rkt.compiler.targets.nftables.joined import MANY, joined
from calico_rkt.compiler.targets.nftables.layers import LED, NETS, TRANSPORTS, is_about_ports, layer_of
from calico_rkt.compiler.targets.nftables.parts import Chain, Element, Map, Ports
from calico_rkt.compiler.targets.nftables.port_classes import port_classes

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.nftables.port_classes import PortClass

_IN_A_CLASS, _BETWEEN = 32, 5
"""Rules about ports that a packet to one of a class's ports walks; and of others between two of them, as lines."""
_FEW_CUTS = 1000
"""Up to so many elements more than rules a map is read as well as a chain."""
_LINE, _CHAIN, _MAP, _ELEMENT, _NET = 30, 60, 80, 14, 7
"""Microseconds that it takes to load a line, a chain, a map, an element of two dimensions, one of one."""

Numbered = tuple[int, Rule]
"""A rule and its position in the list."""
Cuts = Mapping[tuple[int | None, int], int]
"""By protocol and family, how often other rules take a part of those about ports."""
Planned = Callable[[Sequence[Rule]], "Sequence[Map] | None"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Packets that a rule at a position decides, as no other piece does; an element of a map."""

    at: int
    map: Map
    element: Element


@dataclass(frozen=True, slots=True)
class _Others:
    """What is not about ports: pieces that wait for a line that says otherwise, by action, and what stands in order."""

    pieces: Mapping[Action, Sequence[_Piece]]
    in_order: Sequence[Numbered]


def led_by_ports(run: Sequence[Rule], cuts: Cuts, parted: Planned, planned: Planned) -> list[Ports]:
    """The rules about ports, by protocol in chains of their own, where cutting would make more of them.

    parted and planned make maps of rules, parted with an element for each part of a rule; None where these would be
    too many.
    """
    if all(found <= _FEW_CUTS for found in cuts.values()):
        return []
    others = [(n, rule) for n, rule in enumerate(run) if layer_of(rule.match) > LED and not is_about_ports(rule)]
    pieces = _pieces([found for found in others if layer_of(found[1].match) == NETS], parted)
    in_order = [(n, rule) for n, rule in others if not pieces or layer_of(rule.match) != NETS]
    out = []
    for protocol in TRANSPORTS:
        cut = [version for version in (4, 6) if cuts.get((protocol, version), 0) > _FEW_CUTS]
        if not cut:
            continue
        version = cut[0] if len(cut) == 1 else None
        about = [(n, rule) for n, rule in enumerate(run) if rule.match.protocol == protocol and is_about_ports(rule)]
        about = list(_of_family(about, version))
        beside = _Others(
            {action: [p for p in pieces if p.element.action is action] for action in (Action.ALLOW, Action.DENY)},
            [found for found in _of_family(in_order, version) if found[1].match.protocol in (None, protocol)],
        )
        classes = port_classes([rule for _, rule in about], _IN_A_CLASS)
        chains = tuple(_chain(one, about, beside, planned) for one in classes)
        if sum(map(_price, chains)) < _ELEMENT * (sum(cuts[protocol, one] for one in cut) + len(about)):
            out.append(Ports(version, protocol, chains))
    return out


def _of_family(rules: Iterable[Numbered], version: int | None) -> Iterator[Numbered]:
    """What is left of the rules for packets of a family; None: all of them."""
    for n, rule in rules:
        if version is None or rule.match.ip_version == version:
            yield n, rule
        elif rule.match.ip_version is None:
            yield n, replace(rule, match=replace(rule.match, ip_version=version))


def _pieces(nets: Sequence[Numbered], parted: Planned) -> list[_Piece]:
    """What each of these rules decides, by their positions; nothing where that can't be said in few maps."""
    at: dict[int, int] = {}
    for n, rule in nets:
        at.setdefault(id(rule), n)
    maps = parted([rule for _, rule in nets]) if nets else ()
    found = [_Piece(at[id(e.rules[0])], one, e) for one in maps or () for e in one.elements]
    return sorted(found, key=lambda piece: piece.at)


def _chain(one: PortClass, about: Sequence[Numbered], others: _Others, planned: Planned) -> Chain:
    """The class's rules in order, each behind what stands before it and says otherwise."""
    own = [about[n] for n in one.rules]
    last = own[-1][0]
    lines = sorted([*own, *(found for found in others.in_order if found[0] < last)], key=lambda found: found[0])
    parts: list[Rule | Map] = []
    between: list[Rule] = []
    asked = dict.fromkeys(others.pieces, 0)
    for n, rule in lines:
        against = Action.DENY if rule.action is Action.ALLOW else Action.ALLOW
        waiting, begin = others.pieces[against], asked[against]
        while asked[against] < len(waiting) and waiting[asked[against]].at < n:
            asked[against] += 1
        first = waiting[begin : asked[against]]
        if first or is_about_ports(rule):
            parts += _written(between, planned)
            between = []
        parts += _asked(first)
        if is_about_ports(rule):
            parts.append(rule)
        else:
            between.append(rule)
    return Chain(one.ports, tuple(parts))


def _written(between: Sequence[Rule], planned: Planned) -> Sequence[Rule | Map]:
    return (None if len(between) <= _BETWEEN else planned(between)) or between


def _asked(pieces: Sequence[_Piece]) -> Iterator[Rule | Map]:
    """Pieces as lines where they are few, else as a map."""
    by_map: dict[int, list[_Piece]] = {}
    for piece in pieces:
        by_map.setdefault(id(piece.map), []).append(piece)
    for found in by_map.values():
        lines = list(islice((line for piece in found for line in _lines(piece)), _BETWEEN + 1))
        if len(lines) <= _BETWEEN:
            yield from lines
            continue
        elements = [piece.element for piece in found]
        elements = joined(elements) if len(elements) > MANY else elements
        yield replace(found[0].map, elements=tuple(sorted(elements, key=lambda e: e.values)))


def _lines(piece: _Piece) -> Iterator[Rule]:
    """What a piece of nets says, as rules of a net each: a list of nets is a set, which costs more."""
    rule, values = piece.element.rules[0], dict(zip(piece.map.dimensions, piece.element.values, strict=True))
    ends = [_nets(*values[end]) if end in values else [()] for end in (SOURCE, DESTINATION)]
    for source, destination in product(*ends):
        sides = Side(nets=source), Side(nets=destination)
        match = replace(rule.match, ip_version=piece.map.version, source=sides[0], destination=sides[1])
        yield replace(rule, match=match)


def _nets(lo: int, hi: int) -> list[tuple[Net, ...]]:
    """The nets that a range is made of, one by one."""
    found: Iterator[Net]
    if hi < V6:
        found = summarize_address_range(IPv4Address(lo), IPv4Address(hi))
    else:
        found = summarize_address_range(IPv6Address(lo - V6), IPv6Address(hi - V6))
    return [(net,) for net in found]


def _price(chain: Chain) -> int:
    each = (
        _LINE
        if isinstance(part, Rule)
        else _MAP + len(part.elements) * (_NET if len(part.dimensions) < 2 else _ELEMENT)
        for part in chain.parts
    )
    return _CHAIN + sum(each)
