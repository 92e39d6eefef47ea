"""One direction's rules in; what is written as a line, and what as a map of nftables, out, with the same fate for all.

A packet walks lines one by one (some 40 ns each), and finds its element of a map at once. A map holds disjoint
boxes only, and decides what it holds; what it does not hold goes on to the next line. So a run of rules becomes maps
like this: each rule's packets without those that an earlier rule of the other action matches. Rules that say more
(an ICMP code, an ICMP type, a protocol, nets) are written first, selectors last, so what comes first need not be cut
out of what follows: rules are cut only by what is written with them or behind them.

A Log stays a line at its place, and so does what is negated in a way that a map can't say; the runs are between these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from math import prod

from calico_rkt.compiler.ir.model import Action, Match, Rule
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
from calico_rkt.compiler.targets.nftables.peers import Lookup, lookups_of_classes

_MOST = 8
"""Elements for one rule, or for one member of its longest list; where the cutting makes more, the rules stay lines."""
_AT_LEAST, _STEPS = 20_000, 40
"""Pairs of boxes that are looked at for one rule; where it takes more, the elements would be too many, too."""
_DIMENSIONS = (SOURCE, DESTINATION, SPORT, DPORT, ICMP_TYPE, ICMP_CODE)
_MANY = 100
"""Up to so many elements people look for their rule's own; of more, neighbours are joined."""
_RANGES = _DIMENSIONS[:4]
"""Where an element may hold more than one value; an ICMP type is one."""


@dataclass(frozen=True, slots=True)
class Element:
    """A box of packets and its fate: first and last value in each of its map's dimensions, and the rules behind it."""

    values: tuple[tuple[int, int], ...]
    rules: tuple[Rule, ...]

    @property
    def action(self) -> Action:
        """What becomes of the packets: all of its rules say the same."""
        return self.rules[0].action


@dataclass(frozen=True, slots=True)
class Map:
    """Packets of a family (None: both) and protocol (None: any) between such peers, by dimensions of packets.space.

    Without a dimension it has one element, which is all these packets.
    """

    version: int | None
    protocol: int | None
    source: Lookup
    destination: Lookup
    dimensions: tuple[int, ...]
    elements: tuple[Element, ...]


def plan(rules: Iterable[Rule], few: int) -> Iterator[Rule | Map]:
    """The rules, runs of more than few as maps where that is shorter; the order is the one to write in."""
    for mappable, run in groupby(rules, key=_mappable):
        found = tuple(run)
        yield from (_maps(found) if mappable and len(found) > few else None) or found


def _mappable(rule: Rule) -> bool:
    m = rule.match
    return rule.action is not Action.LOG and m.not_protocol is None and m.not_icmp is None


def _layer(m: Match) -> int:
    """The order of writing: what says more comes first: of ICMP, of protocols, of nets; and selectors come last."""
    if m.icmp is not None:
        return 0 if m.icmp.code is not None else 1
    sides = (m.source, m.destination)
    chosen = any(side.selector is not None or side.not_selector is not None for side in sides)
    wide = not any(side.nets for side in sides)
    return 2 + 4 * (m.protocol is None) + 2 * wide + chosen


def _maps(run: Sequence[Rule]) -> list[Map] | None:
    try:
        space = Space(run, labels_of(selectors_of(run)))
        return _Run(space, run).maps()
    except (UndecidedError, _TooManyError):
        return None


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
    def __init__(self, space: Space, run: Sequence[Rule]) -> None:
        self.space = space
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
            self.layers += [_layer(rule.match)] * len(found)
        # A packet without ports and ICMP stands for all packets in a rule about any protocol: the others are cut alike.
        self.bare = space.universe[2][PROTOCOL]

    def maps(self) -> list[Map]:
        groups = self._groups()
        out = _both_families([m for key in sorted(groups, key=_order) for m in self._maps_of(key, groups[key])])
        if len(out) > self.count // 2:
            raise _TooManyError
        return out

    def _groups(self) -> dict[_Key, list[_Piece]]:
        """What each rule decides, by what stands in front of a map."""
        groups: dict[_Key, list[_Piece]] = {}
        origins: dict[_Key, set[tuple[int, int]]] = {}
        index = Index(self.boxes)
        against, beside = self._against(), self._beside()
        for n, (box, rule, layer) in enumerate(zip(self.boxes, self.owners, self.layers, strict=True)):
            if rule.match.protocol is None and box[PROTOCOL] & ~self.bare:
                continue
            peers = box[FROM], box[TO]
            near = index.near(box) & (against[layer, rule.action] | beside[layer, peers]) & (1 << n) - 1
            for piece in self._left_of(box, list(positions(near)), self.boxes):
                key = (
                    layer,
                    4 if box[SOURCE] & self.space.universe[0][SOURCE] else 6,
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
        if len(elements) > _MANY and used[0] in _RANGES:
            elements = _joined(elements)
        elements.sort(key=lambda e: e.values)
        for one in lookups_of_classes(self.space.classes, source):
            for other in lookups_of_classes(self.space.classes, destination):
                yield Map(version, protocol, one, other, used, tuple(elements))


def _joined(elements: Iterable[Element]) -> list[Element]:
    """Elements of one fate that lie side by side in the first dimension as one: the kernel has fewer to load."""
    out: list[Element] = []
    for one in sorted(elements, key=lambda e: (e.values[1:], e.values)):
        last = out[-1] if out else one
        (lo, behind), (start, hi) = last.values[0], one.values[0]
        if (last.action, last.values[1:], behind + 1) == (one.action, one.values[1:], start):
            out[-1] = Element(((lo, hi), *one.values[1:]), (*last.rules, *one.rules))
        else:
            out.append(one)
    return out


def _order(key: _Key) -> tuple[int, ...]:
    return tuple(-1 if part is None else part for part in key)


def _both_families(maps: Iterable[Map]) -> list[Map]:
    """Two maps that say the same of IPv4 and IPv6, and look at no address, as one of both."""
    out: dict[tuple[object, ...], Map] = {}
    for one in maps:
        plain = one.source == one.destination == Lookup() and not set(one.dimensions) & {SOURCE, DESTINATION}
        what = (one.protocol, one.dimensions, tuple((e.values, e.action) for e in one.elements))
        key: tuple[object, ...] = what if plain else (one.version, one.source, one.destination, *what)
        out[key] = replace(one, version=None) if key in out else one
    return list(out.values())
