"""Tests and guardrails in, what is not as they say out, each with a packet and the rules that decide it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from calico_rkt.compiler.evaluate import Packet
from calico_rkt.compiler.expectations import End, Expectation
from calico_rkt.compiler.ir import Action, Match, Rule, Side
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.scene import Fate, Scene, View
from calico_rkt.compiler.review.world import World

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

    deciders are the rules that decided a packet of it, in either stage.
    """

    expectation: Expectation
    failure: Counterexample | None = None
    problem: str = ""
    deciders: tuple[Rule, ...] = ()

    @property
    def passed(self) -> bool:
        return self.failure is None and not self.problem


def outcome(world: World, expectation: Expectation) -> Outcome:
    """Decided over all packets of the set, in each family that both sides have.

    A set without any packet is a problem, not a success: such a test would say nothing for ever.
    """
    deciders: dict[int, Rule] = {}
    failure, empty = None, True
    try:
        for view, matches, less in _asked(world, expectation):
            scene = Scene([view], world.own, world.known, (*matches, *less))
            budget = Budget()
            for box in scene.within(0, matches, less):
                empty = False
                for piece, fate in scene.fates(0, box, budget):
                    deciders.update({id(r): r for _, r in fate.rules if r is not None})
                    if failure is None and fate.allowed is not (expectation.verdict is Action.ALLOW):
                        packet = example(scene.space, piece)
                        failure = Counterexample(view.source.name, view.destination.name, packet, fate)
    except UndecidedError as e:
        return Outcome(expectation, failure, "" if failure else f"given up: {e}", tuple(deciders.values()))
    problem = "no packet is in its set: the ends share no address family, or own no such address" if empty else ""
    return Outcome(expectation, failure, problem, tuple(deciders.values()))


def _asked(world: World, e: Expectation) -> Iterator[tuple[View, list[Match], list[Match]]]:
    """Each pair that the expectation is about, with the matches that its packets are in, and those they are not in."""
    for source, source_nets in _parties(world, e.source):
        for destination, destination_nets in _parties(world, e.destination):
            view = world.view(source, destination)
            # The host reaches its own containers always: `any` can't mean that no rule allows it.
            if view is not None and (view.stages or e.source.word == "host"):
                yield (
                    view,
                    [_narrowed(m, source_nets, destination_nets) for m in e.matches],
                    list(e.exceptions),
                )


def _narrowed(match: Match, source: Side, destination: Side) -> Match:
    return replace(match, source=source, destination=replace(match.destination, nets=destination.nets))


def _parties(world: World, end: End) -> Iterable[tuple[Party, Side]]:
    """The parties that an end means, each with the addresses that it is narrowed to.

    An address is its network's where one owns it, else the outside's.
    """
    if end.networks:
        named = {n.name for n in end.networks}
        return [(p, Side()) for p in world.parties if p.kind is Kind.NETWORK and {p.name, p.id} & named]
    if end.net is not None:
        side = Side(nets=(end.net,))
        return [(p, side) for p in world.parties if p.kind in (Kind.NETWORK, Kind.OUTSIDE)]
    return [(p, Side()) for p in world.parties if p.kind in _WORDS[end.word]]
