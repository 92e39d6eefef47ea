"""One direction's rules in; what is written as a line, and what as a map of nftables, out, with the same fate for all.

A packet walks lines one by one (some 40 ns each), and finds its element of a map at once. A map holds disjoint
boxes only, and decides what it holds; what it does not hold goes on to the next line. So a run of rules becomes maps
like this: each rule's packets without those that an earlier rule of the other action matches. Rules that say more
(an ICMP code, an ICMP type, a protocol, nets) are written first, selectors last, so what comes first need not be cut
out of what follows: rules are cut only by what is written with them or behind them.

A Log stays a line at its place, and so does what is negated in a way that a map can't say; the runs are between these.

Nets of any protocol that cut many rules about ports of any peer would make an element for each pair. There the ports
of these rules lead to chains of their own, a class of ports each, and what is wider than they is behind all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from math import prod

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.ranges import ranges
from calico_rkt.compiler.packets.space import (
    DESTINATION,
    DPORT,
    FROM,
    ICMP_CODE,
    ICMP_TYPE,
    PROTOCOL,
    SOURCE,
    SPORT,
    TO,
    Box,
    Space,
    meet,
)
from calico_rkt.compiler.packets.subtract import narrowed, pieces_left
from calico_rkt.compiler.targets.nftables.by_ports import led_by_ports
from calico_rkt.compiler.targets.nftables.joined import MANY, both_families, joined
from calico_rkt.compiler.targets.nftables.layers import LED, is_about_ports, layer_of
from calico_rkt.compiler.targets.nftables.parts import Element, Map, Ports, Rest
from calico_rkt.compiler.targets.nftables.peers import lookups_of_classes

_MOST = 8
"""Elements for one rule, or for one member of its longest list; where the cutting makes more, the rules stay lines."""
_AT_LEAST, _STEPS = 20_000, 40
"""Pairs of boxes that are looked at for one rule; where it takes more, the elements would be too many, too."""
_DIMENSIONS = (SOURCE, DESTINATION, SPORT, DPORT, ICMP_TYPE, ICMP_CODE)
_RANGES = _DIMENSIONS[:4]
"""Where an element may hold more than one value; an ICMP type is one."""


def plan(rules: Sequence[Rule], few: int) -> Iterator[Rule | Map | Ports | Rest]:
    """The rules, runs of more than few as maps where that is shorter; the order is the one to write in.

    Ports stand only in a list of nothing but maps, and then the Rest is its end: who is led away does not come back.
    """
    for mappable, run in groupby(rules, key=_mappable):
        found = tuple(run)
        whole = len(found) == len(rules)
        yield from (_planned(found, by_ports=whole) if mappable and len(found) > few else None) or found


def _mappable(rule: Rule) -> bool:
    m = rule.match
    return rule.action is not Action.LOG and m.not_protocol is None and m.not_icmp is None


def _planned(run: Sequence[Rule], *, by_ports: bool) -> Sequence[Map | Ports | Rest] | None:
    try:
        found = _Run(run)
        led = led_by_ports(run, found.cuts(), _parted, _maps) if by_ports else []
        found.lead_away(led)
        first, last = found.maps()
    except (UndecidedError, _TooManyError):
        return None
    return [*first, *led, Rest(tuple(last))] if led and last else [*first, *led, *last]


def _maps(run: Sequence[Rule]) -> Sequence[Map] | None:
    """The same as maps alone."""
    return _as_maps(run, as_few=True)


def _parted(run: Sequence[Rule]) -> Sequence[Map] | None:
    """Maps of one family each, in which an element is of one rule."""
    return _as_maps(run, as_few=False)


def _as_maps(run: Sequence[Rule], *, as_few: bool) -> Sequence[Map] | None:
    try:
        first, last = _Run(run, as_few=as_few).maps()
    except (UndecidedError, _TooManyError):
        return None
    return [*first, *last]


class _TooManyError(Exception):
    """More than the lines would be."""


def _members(rule: Rule) -> int:
    """The members of its longest list: a rule that says what many lines would counts as these."""
    sides = (rule.match.source, rule.match.destination)
    return max(1, *(len(values) for side in sides for values in (side.nets, side.ports)))


_Piece = tuple[Box, Rule]
_Key = tuple[int, int, int | None, int, int]
"""Layer, family, protocol, masks of FROM and TO."""


class _Run:
    """as_few: what says the same is one element or map."""

    def __init__(self, run: Sequence[Rule], *, as_few: bool = True) -> None:
        self.space = space = Space(run, labels_of(selectors_of(run)))
        self.as_few = as_few
        self.count = len(run)
        self.left = _MOST * sum(map(_members, run))
        self.budget = Budget(_AT_LEAST + _STEPS * len(run))
        self.boxes: list[Box] = []
        self.owners: list[Rule] = []
        self.layers: list[int] = []
        for rule in run:
            found = space.boxes(rule)
            self.boxes += found
            self.owners += [rule] * len(found)
            self.layers += [layer_of(rule.match)] * len(found)
        self.index = Index(self.boxes)
        # A packet without ports and ICMP stands for all packets in a rule about any protocol: the others are cut alike.
        self.bare = space.universe[2][PROTOCOL]

    def cuts(self) -> Counter[tuple[int | None, int]]:
        """How often what is wider takes a part of rules about ports, by protocol and family."""
        against, out = self._against(), Counter[tuple[int | None, int]]()
        wider = sum(1 << n for n, rule in enumerate(self.owners) if not is_about_ports(rule))
        for n, (box, rule, layer) in enumerate(zip(self.boxes, self.owners, self.layers, strict=True)):
            if is_about_ports(rule):
                near = self.index.near(box) & against[layer, rule.action] & wider & (1 << n) - 1
                out[rule.match.protocol, self._version(box)] += near.bit_count()
        return out

    def lead_away(self, led: Sequence[Ports]) -> None:
        """Rules about ports of these protocols and families are written in their chains only."""
        families = {(one.protocol, version) for one in led for version in (4, 6) if one.version in (None, version)}
        for n, (box, rule) in enumerate(zip(self.boxes, self.owners, strict=True)):
            if (rule.match.protocol, self._version(box)) in families and is_about_ports(rule):
                self.layers[n] = LED

    def _version(self, box: Box) -> int:
        return 4 if box[SOURCE] & self.space.universe[0][SOURCE] else 6

    def maps(self) -> tuple[Sequence[Map], Sequence[Map]]:
        """What is written before ports that are led away, and what behind them."""
        groups = self._groups()
        first: list[Map] = []
        last: list[Map] = []
        for layer, keys in groupby(sorted(groups, key=_order), key=lambda key: key[0]):
            found = [m for key in keys for m in self._maps_of(key, groups[key])]
            # Of one layer alone: what a later one says of a family must not come before an earlier one's of the other.
            (first if layer < LED else last).extend(both_families(found) if self.as_few else found)
        if len(first) + len(last) > self.count // 2:
            raise _TooManyError
        return first, last

    def _groups(self) -> dict[_Key, list[_Piece]]:
        """What each rule decides, by what stands in front of a map."""
        groups: dict[_Key, list[_Piece]] = {}
        origins: dict[_Key, set[tuple[int, int]]] = {}
        against, beside = self._against(), self._beside()
        for n, (box, rule, layer) in enumerate(zip(self.boxes, self.owners, self.layers, strict=True)):
            if layer == LED or (rule.match.protocol is None and box[PROTOCOL] & ~self.bare):
                continue
            peers = box[FROM], box[TO]
            near = self.index.near(box) & (against[layer, rule.action] | beside[layer, peers]) & (1 << n) - 1
            for piece in self._left_of(box, list(positions(near)), self.boxes):
                key = (
                    layer,
                    self._version(box),
                    rule.match.protocol,
                    piece[FROM],
                    piece[TO],
                )
                groups.setdefault(key, []).append((piece, rule))
                origins.setdefault(key, set()).add(peers)
                if len(groups[key]) > self.left:
                    raise _TooManyError
        return {key: self._disjoint(found) if len(origins[key]) > 1 else found for key, found in groups.items()}

    def _against(self) -> dict[tuple[int, Action], int]:
        """For rules of a layer and an action, the boxes of the other action that are not written before them."""
        at: dict[tuple[int, Action], int] = {}
        for n, (rule, layer) in enumerate(zip(self.owners, self.layers, strict=True)):
            at[layer, rule.action] = at.get((layer, rule.action), 0) | 1 << n
        layers, out = sorted(set(self.layers), reverse=True), {}
        for action, other in ((Action.ALLOW, Action.DENY), (Action.DENY, Action.ALLOW)):
            behind = 0
            for layer in layers:
                behind |= at.get((layer, other), 0)
                out[layer, action] = behind
        return out

    def _beside(self) -> dict[tuple[int, tuple[int, int]], int]:
        """The boxes that end up in one map with those of a layer and such peers."""
        at: dict[tuple[int, tuple[int, int]], int] = {}
        for n, (box, layer) in enumerate(zip(self.boxes, self.layers, strict=True)):
            key = layer, (box[FROM], box[TO])
            at[key] = at.get(key, 0) | 1 << n
        return at

    def _disjoint(self, pieces: list[_Piece]) -> list[_Piece]:
        """The same packets, each once: rules about different peers may leave the same ones."""
        boxes = [box for box, _ in pieces]
        index, out = Index(boxes), []
        for n, (box, rule) in enumerate(pieces):
            near = list(positions(index.near(box) & (1 << n) - 1))
            out += [(piece, rule) for piece in self._left_of(box, near, boxes)]
        return out

    def _left_of(self, box: Box, blockers: list[int], boxes: Sequence[Box]) -> Iterator[Box]:
        self.budget.spend(len(blockers))
        narrow, rest = narrowed(box, blockers, boxes)
        return iter(()) if narrow is None else pieces_left(narrow, rest, boxes, self.budget, set())

    def _maps_of(self, key: _Key, pieces: Sequence[_Piece]) -> Iterator[Map]:
        _, version, protocol, source, destination = key
        whole = next(u for u in self.space.universe if meet(u, pieces[0][0]) is not None)
        used = tuple(d for d in _DIMENSIONS if any(box[d] != whole[d] for box, _ in pieces))
        elements: list[Element] = []
        for box, rule in pieces:
            each = [list(ranges(self.space, d, box[d])) for d in used]
            self.left -= prod(map(len, each))
            if self.left < 0:
                raise _TooManyError
            elements += (Element(values, (rule,)) for values in product(*each))
        if self.as_few and len(elements) > MANY and used[0] in _RANGES:
            elements = joined(elements)
        elements.sort(key=lambda e: e.values)
        for one in lookups_of_classes(self.space.classes, source):
            for other in lookups_of_classes(self.space.classes, destination):
                yield Map(version, protocol, one, other, used, tuple(elements))


def _order(key: _Key) -> tuple[int, ...]:
    return tuple(-1 if part is None else part for part in key)
