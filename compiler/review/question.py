"""A set of packets between two ends in, every fate that they meet out: what `explain` answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico_rkt.compiler.evaluate import Packet
from calico_rkt.compiler.expectations import Expectation
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.readable import readable
from calico_rkt.compiler.packets.space import Box
from calico_rkt.compiler.review.expect import asked
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.scene import Fate, Scene, View
from calico_rkt.compiler.review.world import World


@dataclass(frozen=True, slots=True)
class Case:
    """Packets between two parties that meet one fate, by the same rules, with one example."""

    source: str
    destination: str
    flows: tuple[Flow, ...]
    example: Packet
    fate: Fate


def cases(world: World, question: Expectation) -> Iterator[Case]:
    """Every case of the packets that the expectation speaks of; its verdict is not looked at."""
    for view, matches, less in asked(world, question):
        scene = Scene([view], world.own, world.known, (*matches, *less))
        budget = Budget()
        found: dict[object, tuple[Fate, list[Box]]] = {}
        for box in scene.within(0, matches, less):
            for piece, fate in scene.fates(0, box, budget):
                key = tuple((stage.words, id(rule)) for stage, rule in fate.rules)
                found.setdefault(key, (fate, []))[1].append(piece)
        for fate, pieces in found.values():
            yield _case(scene, view, fate, pieces, budget)


def _case(scene: Scene, view: View, fate: Fate, pieces: list[Box], budget: Budget) -> Case:
    boxes = readable(scene.space, pieces, scene.universes[0], budget)
    flows = tuple(flow(scene.space, b, scene.universes[0]) for b in boxes)
    return Case(view.source.name, view.destination.name, flows, example(scene.space, pieces[0]), fate)
