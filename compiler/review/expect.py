"""Tests and guardrails in, what is not as they say out, each with a packet and the rules that decide it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.packets.bounds import outline
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.opening import opens_nothing
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.review.pair import Fate, Scene, View
from calico_rkt.compiler.review.parties import Kind, Party
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
    """What became of one expectation. problem is empty, or why nothing was decided; then there is no failure.

    undecided says on what it was given up; a failure that was found before still is one. deciders are the rules that
    decided a packet of it, in either stage.
    """

    expectation: Expectation
    failure: Counterexample | None = None
    problem: str = ""
    undecided: str = ""
    deciders: tuple[Rule, ...] = ()

    @property
    def passed(self) -> bool:
        return bool(self.verdict)

    @property
    def verdict(self) -> bool | None:
        """Whether it holds; None where that is not decided."""
        if self.undecided and self.failure is None:
            return None
        return self.failure is None and not self.problem


def outcome(world: World, expectation: Expectation, whole: Budget | None = None) -> Outcome:
    """Decided over all packets of the set, in each family that both sides have.

    A set without any packet is a problem, not a success: such a test would say nothing for ever. whole is the budget
    of all expectations that are asked together.
    """
    if all(why := [opens_nothing(m) for m in expectation.matches]):
        return Outcome(expectation, problem=why[0])
    deciders: dict[int, Rule] = {}
    failure, empty, pair = None, True, ""
    try:
        for view, matches, less in asked(world, expectation):
            pair = f"{view.source.name} -> {view.destination.name}"
            budget = Budget(whole=whole)
            # A rule about none of these packets decides nothing here.
            bounds = [outline(m) for m in matches]
            scene = Scene([view], world.own, world.known, (*matches, *less), bounds)
            for box in scene.within(0, matches, less, budget):
                for piece, fate in scene.fates(0, box, budget):
                    empty = False
                    deciders.update({id(r): r for _, r in fate.rules if r is not None})
                    if failure is None and fate.allowed is not (expectation.verdict is Action.ALLOW):
                        packet = example(scene.space, piece)
                        failure = Counterexample(view.source.name, view.destination.name, packet, fate)
    except UndecidedError as e:
        return Outcome(expectation, failure, undecided=f"{pair}: {e}", deciders=tuple(deciders.values()))
    unreadable = "" if failure else _unreadable(world, expectation)
    problem = why_empty(world, expectation) if empty and not unreadable else ""
    return Outcome(expectation, failure, problem, unreadable, tuple(deciders.values()))


def _unreadable(world: World, e: Expectation) -> str:
    """Why nobody can tell, where the expectation speaks of a network whose conf can't be used, or may do so."""
    ends = (e.source, e.destination)
    vague = any(end.net is not None or end.word in ("endpoints", "any") for end in ends)
    named = {n.name for n in e.mentioned_networks()}
    return next((why for name, why in world.unreadable.items() if vague or name in named), "")


def why_empty(world: World, e: Expectation) -> str:
    """Why no packet is in the set of an expectation."""
    known = {n for network in world.networks.values() for n in (network.name, network.id)}
    missing = [n.name for n in e.mentioned_networks() if n.name not in known]
    if missing:
        return f"no conf here has the network {missing[0]!r}"
    views = [view for view, _, _ in asked(world, e)]
    if not views:
        return "between these ends no network's policy decides"
    alone = [
        why
        for view in views
        if (why := Scene([view], world.own, world.known).nobody(0)) and view.source == view.destination
    ]
    if alone:
        return f"no packet is in its set: {alone[0]}"
    if e.source.net is not None and e.source.net == e.destination.net and e.source.net.num_addresses == 1:
        return "no packet is in its set: an address sends nothing to itself"
    return "no packet is in its set: its ends share no address family, or nobody has such an address"


def asked(world: World, e: Expectation) -> Iterator[tuple[View, list[Match], tuple[Match, ...]]]:
    """Each pair that the expectation is about, with the matches that its packets are in, and those they are not in."""
    destinations = _meant_of(world, e.destination)
    for source, sending in _meant_of(world, e.source):
        for destination, receiving in destinations:
            view = world.view(source, destination)
            # The host reaches its own containers always: `any` can't mean that no rule allows it.
            if view is not None and (view.stages or e.source.word == "host"):
                matches = [_narrowed(m, sending, receiving) for m in e.matches]
                if matches:
                    yield view, matches, e.exceptions


def matches_between(e: Expectation, view: View) -> list[Match]:
    """What an expectation says of the packets between the ends of a view, its exceptions aside; none: nothing."""
    source, destination = _meant(e.source, view.source), _meant(e.destination, view.destination)
    if source is None or destination is None:
        return []
    return [_narrowed(m, source, destination) for m in e.matches]


def _narrowed(match: Match, source: Side, destination: Side) -> Match:
    return replace(match, source=source, destination=replace(match.destination, nets=destination.nets))


def _meant_of(world: World, end: ExpectedEnd) -> list[tuple[Party, Side]]:
    """Each party that an end means, in their order, with the side that it means of it."""
    if end.networks:
        named = {n.name for n in end.networks}
        return [(p, Side()) for p in world.parties if p.kind is Kind.NETWORK and (p.name in named or p.id in named)]
    return [(p, side) for p in world.parties if (side := _meant(end, p)) is not None]


def _meant(end: ExpectedEnd, party: Party) -> Side | None:
    """The side that an end means of a party, None where it doesn't mean it.

    An address is whoever's can have it: its network's where one owns it, else the outside's, and in both cases
    perhaps that of an endpoint of no network here. The host is meant only where it is named; with an address, by it.
    """
    if end.networks:
        named = {n.name for n in end.networks}
        return Side() if party.kind is Kind.NETWORK and {party.name, party.id} & named else None
    if end.net is not None:
        meant = (party.kind is Kind.HOST) == (end.word == "host")
        return Side(nets=(end.net,)) if meant else None
    return Side() if party.kind in _WORDS[end.word] else None
