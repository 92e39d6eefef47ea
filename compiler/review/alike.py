"""Pairs in, a key of each out: pairs of one key have the same answer, but for names, addresses and places of rules.

Two networks that no rule between the ends tells apart are the same to every analysis: their lists say the same where
each speaks of itself, no rule of the other end names one of them, and no net of a rule begins or ends in the addresses
of one otherwise than in those of the other. Then the spaces of both pairs have the same cells in the same order, and
what is found in one of them is found in the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.ir.resolved import nets
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.packets.bounds import Ranges
from calico_rkt.compiler.packets.space import V6, net_range
from calico_rkt.compiler.review.pair import Stage, View
from calico_rkt.compiler.review.parties import Kind, Party

_SELF = ""
"""In the place of a network's own id; no label has this name."""


@dataclass(frozen=True, slots=True)
class _List:
    """What a stage says: equal lists have one number. named are the networks in it beside the one whose it is."""

    number: int
    named: frozenset[str]
    cuts: tuple[frozenset[int], frozenset[int]]


class _Cuts(NamedTuple):
    """Where nets of rules begin and end at one side, in order; equal ones have one number."""

    number: int
    at: tuple[int, ...]


class Lists(NamedTuple):
    """All that the lists between two ends say of either."""

    number: int
    named: frozenset[str]
    sources: _Cuts
    destinations: _Cuts


class Asked(NamedTuple):
    """Matches that spaces are made with beside the rules; equal ones have one number."""

    number: int
    named: frozenset[str]
    cuts: tuple[frozenset[int], frozenset[int]]


NOTHING = Asked(0, frozenset(), (frozenset(), frozenset()))


class Key(NamedTuple):
    """alike: the answer is the same where it says no addresses of its own; equal: it is the same in any case."""

    alike: object
    equal: object


class Likeness:
    """Gives keys; those of one Likeness may be compared. own are the ids of the confs' networks."""

    def __init__(self, own: frozenset[str]) -> None:
        self._own = own
        self._stages: dict[int, tuple[Stage, _List]] = {}
        self._contents: dict[object, int] = {}
        self._lists: dict[tuple[int, ...], Lists] = {}
        self._questions: dict[tuple[Match, ...], int] = {(): NOTHING.number}
        self._cuts: dict[tuple[int, ...], _Cuts] = {}
        self._addresses: dict[object, int] = {}
        self._parties: dict[int, tuple[Party, int]] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._shapes: dict[object, int] = {}
        self._alone: dict[tuple[int, int], frozenset[int]] = {}

    def asked(self, matches: Iterable[Match]) -> Asked:
        """What keys are asked for with."""
        given = tuple(matches)
        rules = [Rule(Action.ALLOW, m) for m in given]
        number = self._questions.setdefault(given, len(self._questions))
        return Asked(number, labels_of(selectors_of(rules)) & self._own, _cuts(rules))

    def of_both(self, views: Sequence[View], asked: Asked) -> Key | None:
        """Of a pair in two revisions, or in one of them; None where its ends have other addresses in each."""
        source, destination = views[0].source, views[0].destination
        for v in views[1:]:
            if self._address(source) != self._address(v.source):
                return None
            if self._address(destination) != self._address(v.destination):
                return None
        return self.key(*views, asked=asked)

    def key(self, *views: View, asked: Asked = NOTHING) -> Key:
        """Of a pair, in all its revisions that are looked at together; its ends have one and the same addresses.

        asked are the matches that its space is made with beside the rules.
        """
        source, destination = views[0].source, views[0].destination
        lists = self._between(views, asked)
        named = lists.named
        names = source.id if source.id in named else "", destination.id if destination.id in named else ""
        said = lists.number, source is destination or source.key == destination.key, names
        ends = self._address(source), self._address(destination)
        equal = said, ends
        if self._may_be_one(source, lists.sources, destination, lists.destinations):
            return Key(equal, equal)
        places = self._place(source, ends[0], lists.sources), self._place(destination, ends[1], lists.destinations)
        return Key((said, places, None), equal)

    def all_between(self, views: Sequence[View], asked: Asked) -> Lists:
        """What all lists of some views say together."""
        return self._all((-2, asked.number), [self._list_of(s, v) for v in views for s in v.stages], asked)

    def kind(self, party: Party, views: Sequence[View], among: Lists) -> object | None:
        """Of a network: two of one kind are alike to whoever sends them something, and to whom they send.

        views are its pairs with others than networks, among are all lists that there are. None: it is of no kind.
        """
        if party.kind is not Kind.NETWORK or party.id in among.named:
            return None
        if self._cells(party, among.sources) or self._cells(party, among.destinations):
            return None
        address = self._address(party)
        places = self._place(party, address, among.sources), self._place(party, address, among.destinations)
        return self._between(views, NOTHING).number, places

    def _between(self, views: Sequence[View], asked: Asked) -> Lists:
        numbers = [asked.number]
        found: list[_List] = []
        for v in views:
            numbers.append(-1)
            for stage in v.stages:
                one = self._list_of(stage, v)
                numbers.append(one.number)
                found.append(one)
        return self._lists.get(tuple(numbers)) or self._all(tuple(numbers), found, asked)

    def _list_of(self, stage: Stage, v: View) -> _List:
        known = self._stages.get(id(stage))
        return known[1] if known is not None else self._list(stage, v.source, v.destination)

    def _list(self, stage: Stage, source: Party, destination: Party) -> _List:
        mine = source.kind is Kind.NETWORK and stage.network == source.name
        own = (source if mine else destination).id
        first: dict[int, int] = {}
        repeats = tuple(first.setdefault(id(r), n) for n, r in enumerate(stage.rules))
        content = tuple(_without_name(r, own) for r in stage.rules), repeats if len(first) < len(repeats) else None
        named = (labels_of(selectors_of(stage.rules)) & self._own) - {own}
        number = self._contents.setdefault(content, len(self._contents))
        made = _List(number, named, _cuts(stage.rules))
        self._stages[id(stage)] = stage, made  # with the stage, so that no other gets its id
        return made

    def _all(self, numbers: tuple[int, ...], found: Sequence[_List], asked: Asked) -> Lists:
        named = asked.named.union(*(one.named for one in found))
        sources, destinations = (
            self._cuts_of(asked.cuts[side].union(*(one.cuts[side] for one in found))) for side in (0, 1)
        )
        made = self._lists[numbers] = Lists(len(self._lists), named, sources, destinations)
        return made

    def _cuts_of(self, values: frozenset[int]) -> _Cuts:
        at = tuple(sorted(values | {0, V6}))
        return self._cuts.setdefault(at, _Cuts(len(self._cuts), at))

    def _address(self, party: Party) -> int:
        """A number for its addresses; of those that are no network there is one of each kind."""
        known = self._parties.get(id(party))
        if known is None:
            said = (party.kind, party.nets, party.not_nets) if party.kind is Kind.NETWORK else party.kind
            known = self._parties[id(party)] = party, self._addresses.setdefault(said, len(self._addresses))
        return known[1]

    def _place(self, party: Party, address: int, cuts: _Cuts) -> int:
        """A number for how its addresses lie between the cuts."""
        found = self._places.get((address, cuts.number))
        if found is None:
            shape = _shape(party, cuts.at)
            found = self._places[address, cuts.number] = self._shapes.setdefault(shape, len(self._shapes))
        return found

    def _may_be_one(self, source: Party, at: _Cuts, destination: Party, there: _Cuts) -> bool:
        """Whether both may have one address that is a cell of its own: an address sends nothing to itself."""
        network, other = ((source, at), (destination, there))
        if network[0].kind is not Kind.NETWORK:
            network, other = other, network
        alone = self._cells(*network)
        return bool(alone) and not alone.isdisjoint(self._cells(*other))

    def _cells(self, party: Party, cuts: _Cuts) -> frozenset[int]:
        key = self._address(party), cuts.number
        found = self._alone.get(key)
        if found is None:
            found = self._alone[key] = _single(party, cuts.at)
        return found


def _shape(party: Party, cuts: tuple[int, ...]) -> object:
    if party.kind is not Kind.NETWORK:
        return party.kind
    at = {x: n for n, x in enumerate(party.edges)}
    held, holes = (tuple((at[a], at[b]) for a, b in map(net_range, given)) for given in (party.nets, party.not_nets))
    return held, holes, tuple((n := bisect_left(cuts, x), n < len(cuts) and cuts[n] == x) for x in party.edges)


def _single(party: Party, cuts: tuple[int, ...]) -> frozenset[int]:
    """The addresses of a party that are cells of their own between the cuts and those of its own nets."""
    every = sorted({*cuts, *party.edges})
    single = [a for a, b in pairwise(every) if b - a == 1]
    nets_, holes = (Ranges((a, b - 1) for a, b in map(net_range, given)) for given in (party.nets, party.not_nets))
    return frozenset(x for x in single if (not party.nets or nets_.meet(x, x)) and not holes.meet(x, x))


def _cuts(rules: Iterable[Rule]) -> tuple[frozenset[int], frozenset[int]]:
    """Where nets of sources begin and end, and those of destinations."""
    matches = [r.match for r in rules]
    sources, destinations = ([m.source for m in matches], [m.destination for m in matches])
    return _edges(sources), _edges(destinations)


def _edges(sides: Iterable[Side]) -> frozenset[int]:
    return frozenset(x for side in sides for net in nets((*side.nets, *side.not_nets)) for x in net_range(net))


def _without_name(rule: Rule, own: str) -> tuple[type[Rule], Rule]:
    """The rule as every network would have it, and its type: what is left to the host is no rule."""
    m = rule.match
    if own in labels_of(selectors_of([rule])):
        m = replace(m, source=_side(m.source, own), destination=_side(m.destination, own))
    return type(rule), Rule(rule.action, m)


def _side(side: Side, own: str) -> Side:
    selector, no = (None if s is None else _called(s, own) for s in (side.selector, side.not_selector))
    return replace(side, selector=selector, not_selector=no)


def _called(selector: Selector, own: str) -> Selector:
    """The selector with another word for the network's own label."""
    if selector.operands:
        return replace(selector, operands=tuple(sorted((_called(o, own) for o in selector.operands), key=str)))
    return replace(selector, key=_SELF) if selector.key == own else selector
