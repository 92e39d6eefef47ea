"""Tests and guardrails in, what is not as they say out, each with a packet and the rules that decide it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.packets.bounds import outline
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.opening import opens_nothing
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.review.alike import NOTHING
from calico_rkt.compiler.review.carry import Place, places, there
from calico_rkt.compiler.review.pair import Fate, Scene, Stage, View, closed
from calico_rkt.compiler.review.parties import STRANGERS, Kind, Party
from calico_rkt.compiler.review.snapshot import World

_WORDS = {
    "outside": (Kind.OUTSIDE,),
    "host": (Kind.HOST,),
    "endpoints": (Kind.NETWORK, Kind.OTHERS),
    "any": tuple(Kind),
}


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A packet that does not meet the verdict expected, who sends it to whom, and its fate."""

    source: str
    destination: str
    packet: Packet
    fate: Fate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expectation. problem is empty, or why not all that it says was asked; then nothing failed.

    in_part: packets of it were asked about all the same. undecided says on what it was given up; a failure that was
    found before still is one. deciders are the rules that decided a packet of it, in either stage.
    """

    expectation: Expectation
    failure: Counterexample | None = None
    problem: str = ""
    undecided: str = ""
    deciders: tuple[Rule, ...] = ()
    in_part: bool = False

    @property
    def passed(self) -> bool:
        return bool(self.verdict)

    @property
    def verdict(self) -> bool | None:
        """Whether it holds; None where that is not decided."""
        if self.undecided and self.failure is None:
            return None
        return self.failure is None and not self.problem


def outcome(
    world: World, expectation: Expectation, whole: Budget | None = None, *, all_deciders: bool = False
) -> Outcome:
    """Decided over all packets of the set, in each family that both sides have.

    A set without any packet is a problem, not a success: such a test would say nothing for ever. So is a network that
    no conf here has, however many others are named beside it. whole is the budget of all expectations that are asked
    together. Without all_deciders no pair is gone through that can't change the
    answer, and deciders are some of them.
    """
    if all(why := [opens_nothing(m) for m in expectation.matches]):
        return Outcome(expectation, problem=why[0])
    deciders: dict[int, Rule] = {}
    failure, empty, pair = None, True, ""
    denied = expectation.verdict is Action.DENY
    alike = _LikePairs(world, expectation)
    try:
        # A rule about none of these packets decides nothing here.
        bounds = [outline(m) for m in matches_of(expectation)]
        for view, matches, less in asked(world, expectation):
            if not all_deciders and failure is not None:
                break
            known = alike.deciders(view)
            if known is not None:
                if all_deciders:
                    deciders.update({id(r): r for _, r in there(view, known)})
                continue
            if not (all_deciders or empty) and denied and closed(view, world.own, bounds):
                alike.found(view, ())
                continue
            pair = f"{view.source.name} -> {view.destination.name}"
            budget = Budget(whole=whole)
            scene = Scene([view], world.own, world.known, (*matches, *less), bounds)
            here: dict[tuple[str, int], tuple[Stage, Rule]] = {}
            for box in scene.within(0, matches, less, budget):
                for piece, fate in scene.fates(0, box, budget):
                    empty = False
                    here.update({(s.words, id(r)): (s, r) for s, r in fate.rules if r is not None})
                    deciders.update({id(r): r for _, r in fate.rules if r is not None})
                    if failure is None and fate.allowed is not (expectation.verdict is Action.ALLOW):
                        packet = example(scene.space, piece)
                        failure = Counterexample(view.source.name, view.destination.name, packet, fate)
            alike.found(view, here.values())
    except UndecidedError as e:
        return Outcome(expectation, failure, undecided=f"{pair}: {e}", deciders=tuple(deciders.values()))
    unreadable = "" if failure else _unreadable(world, expectation)
    problem = ""
    if failure is None and not unreadable:
        problem = why_empty(world, expectation) if empty else _unknown(world, expectation)
    return Outcome(expectation, failure, problem, unreadable, tuple(deciders.values()), in_part=not empty)


class _LikePairs:
    """The pairs of one question that were asked, by what they have in common with others: these need not be asked."""

    def __init__(self, world: World, e: Expectation) -> None:
        self._likeness, self._asked = world.likeness, (*matches_of(e), *e.exceptions)
        self._beside = NOTHING
        self._first: tuple[View, list[Place]] | None = None
        self._known: dict[object, list[Place]] = {}

    def deciders(self, view: View) -> list[Place] | None:
        """Where the rules stand that decide a packet of a pair, if one that is like it was asked."""
        if self._first is None:
            return None  # most questions are about one pair, which is like no other then
        if not self._known:
            first, found = self._first
            self._beside = self._likeness.asked(self._asked)
            self._known[self._key(first)] = found
        return self._known.get(self._key(view))

    def found(self, view: View, rules: Iterable[tuple[Stage, Rule]]) -> None:
        """The rules that decide a packet of a pair."""
        if self._first is None:
            self._first = view, places(view, rules)
        else:
            self._known[self._key(view)] = places(view, rules)

    def _key(self, view: View) -> object:
        return self._likeness.key(view, asked=self._beside).alike


def _unreadable(world: World, e: Expectation) -> str:
    """Why nobody can tell, where the expectation speaks of a network whose conf can't be used, or may do so."""
    ends = (e.source, e.destination)
    vague = any(end.net is not None or end.word in ("endpoints", "any") for end in ends)
    named = {n.name for n in e.mentioned_networks()}
    return next((why for name, why in world.unreadable.items() if vague or name in named), "")


def why_empty(world: World, e: Expectation) -> str:
    """Why no packet is in the set of an expectation."""
    if unknown := _unknown(world, e):
        return unknown
    views = [view for view, _, _ in asked(world, e)]
    if not views:
        return "between these ends no network's policy decides"
    alone = [
        why
        for view in views
        if view.source == view.destination and (why := Scene([view], world.own, world.known).nobody(0))
    ]
    if alone:
        return f"no packet is in its set: {alone[0]}"
    if e.source.net is not None and e.source.net == e.destination.net and e.source.net.num_addresses == 1:
        return "no packet is in its set: an address sends nothing to itself"
    if e.exceptions and not outcome(world, replace(e, exceptions=())).problem:
        return "no packet is in its set: what it excepts is all that it speaks of"
    return "no packet is in its set: its ends share no address family, or nobody has such an address"


def _unknown(world: World, e: Expectation) -> str:
    """Which network of an expectation no conf here has; empty where each has one."""
    known = {n for network in world.networks.values() for n in (network.name, network.id)}
    return next((f"no conf here has the network {n.name!r}" for n in e.mentioned_networks() if n.name not in known), "")


def asked(world: World, e: Expectation) -> Iterator[tuple[View, list[Match], tuple[Match, ...]]]:
    """Each pair that the expectation is about, with the matches that its packets are in, and those they are not in."""
    matches = matches_of(e)
    destinations = _meant_of(world, e.destination, e.verdict)
    for source in _senders_of(world, e) if matches else ():
        for destination in destinations:
            view = world.view(source, destination)
            # The host reaches its own containers always: `any` can't mean that no rule allows it.
            if view is not None and (view.stages or e.source.word == "host"):
                yield view, matches, e.exceptions


def matches_between(e: Expectation, view: View) -> list[Match]:
    """What an expectation says of the packets between the ends of a view, its exceptions aside; none: nothing."""
    return matches_of(e) if means(e.source, view.source) and means(e.destination, view.destination) else []


def matches_of(e: Expectation) -> list[Match]:
    """What an expectation says of packets, the addresses of its ends included."""
    source, destination = ((end.net,) if end.net is not None else () for end in (e.source, e.destination))
    return [
        replace(m, source=Side(nets=source), destination=replace(m.destination, nets=destination)) for m in e.matches
    ]


def _senders_of(world: World, e: Expectation) -> list[Party]:
    """Each party that sends. What has to be denied is asked of other endpoints, too, whatever the rules tell apart.

    They may have any address, also one that a rule lets in by its net. As receivers they have rules that are not here.
    """
    found = _meant_of(world, e.source, e.verdict)
    if e.verdict is Action.DENY and e.source.word in ("endpoints", "any"):
        found += [STRANGERS] if STRANGERS not in found else []
    return found


def _meant_of(world: World, end: ExpectedEnd, verdict: Action) -> list[Party]:
    """Each party that an end means, in their order; what has to be allowed need not be so to an endpoint of nobody."""
    if end.networks:
        named = {n.name for n in end.networks}
        return [p for p in world.parties if p.kind is Kind.NETWORK and (p.name in named or p.id in named)]
    found = [p for p in world.parties if means(end, p)]
    return [p for p in found if p != STRANGERS] if (end.word, verdict) == ("endpoints", Action.ALLOW) else found


def means(end: ExpectedEnd, party: Party) -> bool:
    """Whether an end means a party.

    An address is whoever's can have it: its network's where one owns it, else the outside's, and in both cases
    perhaps that of an endpoint of no network here. The host is meant only where it is named; with an address, by it.
    """
    if end.networks:
        return party.kind is Kind.NETWORK and any(n.name in (party.name, party.id) for n in end.networks)
    if end.net is not None:
        return (party.kind is Kind.HOST) == (end.word == "host")
    return party.kind in _WORDS[end.word]
