"""A set of packets between two ends in, every fate that they meet out: what `explain` answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.ir.model import Match
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.packets.space import Box
from calico_rkt.compiler.review.expect import asked
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.pair import Fate, Scene, View
from calico_rkt.compiler.review.snapshot import World


@dataclass(frozen=True, slots=True)
class Case:
    """Packets between two parties that meet one fate, by the same rules, with one example."""

    source: str
    destination: str
    flows: tuple[Flow, ...]
    example: Packet
    fate: Fate


def cases(world: World, question: Expectation, undecided: list[str] | None = None) -> Iterator[Case]:
    """Every case of the packets that the expectation speaks of; its verdict is not looked at.

    undecided gets each pair that was given up, and why; without it that raises UndecidedError.
    """
    whole = Budget.of_an_answer()
    for view, matches, less in asked(world, question):
        try:
            yield from _between(world, view, matches, less, Budget(whole=whole))
        except UndecidedError as e:
            if undecided is None:
                raise
            undecided.append(f"{view.source.name} -> {view.destination.name}: {e}")


def _between(
    world: World, view: View, matches: Sequence[Match], less: Sequence[Match], budget: Budget
) -> Iterable[Case]:
    """All cases of a pair, or none."""
    scene = Scene([view], world.own, world.known, (*matches, *less))
    found: dict[object, tuple[Fate, list[Box]]] = {}
    for box in scene.within(0, matches, less, budget):
        for piece, fate in scene.fates(0, box, budget):
            key = tuple((stage.words, id(rule)) for stage, rule in fate.rules)
            found.setdefault(key, (fate, []))[1].append(piece)
    return [_case(scene, view, fate, pieces, budget) for fate, pieces in found.values()]


def _case(scene: Scene, view: View, fate: Fate, pieces: list[Box], budget: Budget) -> Case:
    boxes = readable(scene.space, pieces, scene.universes[0], budget)
    flows = tuple(flow(scene.space, b, scene.universes[0]) for b in boxes)
    return Case(view.source.name, view.destination.name, flows, example(scene.space, pieces[0]), fate)
