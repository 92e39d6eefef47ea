"""What was found of a pair in, the same of one that is like it out: by the places of rules and of addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.ir.rule_parts import labels_of
from calico_rkt.compiler.packets.labels import Labels
from calico_rkt.compiler.packets.ranges import Cells
from calico_rkt.compiler.packets.space import DESTINATION, SOURCE
from calico_rkt.compiler.review.flows import FAMILIES, Flow
from calico_rkt.compiler.review.pair import Fate, Stage, View

Place = tuple[int, int]
"""Which stage of a view, and which of its rules."""


def places(view: View, found: Iterable[tuple[Stage, Rule]]) -> list[Place]:
    """Where the rules of a view stand; of one that stands in a list twice it is the first place."""
    numbers = {id(s): n for n, s in enumerate(view.stages)}
    return [(numbers[id(stage)], stage.place(rule)) for stage, rule in found]


def there(view: View, found: Iterable[Place]) -> tuple[tuple[Stage, Rule], ...]:
    """The stages and rules of a view that stand in such places."""
    stages = view.stages
    return tuple([(stages[n], stages[n].rules[at]) for n, at in found])


def fate_there(fate: Fate, view: View | None, other: View | None) -> Fate:
    """A fate in a view as the rules of another one decide it."""
    if view is None or other is None:
        return fate
    path: list[tuple[Stage, Rule | None]] = []
    numbers = {id(s): n for n, s in enumerate(view.stages)}
    for stage, rule in fate.rules:
        mine = other.stages[numbers[id(stage)]]
        path.append((mine, None if rule is None else mine.rules[stage.place(rule)]))
    return Fate(fate.allowed, tuple(path))


class Elsewhere(NamedTuple):
    """The cells of a space, between other ends: a box of the one is a box of the other."""

    cuts: tuple[list[int], ...]
    classes: tuple[Labels, ...]


def cells_there(cells: Cells, view: View, other: View) -> Elsewhere:
    """The cells of a view's space as those of another view that is like it."""
    cuts = list(cells.cuts)
    for dimension, mine, its in (
        (SOURCE, view.source, other.source),
        (DESTINATION, view.destination, other.destination),
    ):
        if mine is not its:
            to = dict(zip(mine.edges, its.edges, strict=True))
            cuts[dimension] = [to.get(x, x) for x in cuts[dimension]]
    names = {view.source.id: other.source.id, view.destination.id: other.destination.id}
    classes = tuple(None if c is None else {names.get(k, k): v for k, v in c.items()} for c in cells.classes)
    return Elsewhere(tuple(cuts), classes)


def speaks_of_ends(flows: Iterable[Flow], view: View) -> bool:
    """Whether flows say addresses, or networks at the ends: then another pair has others to say."""
    ids = {view.source.id, view.destination.id} - {""}
    for f in flows:
        for addresses in (f.source, f.destination):
            if addresses is not None and (addresses.not_nets or addresses.nets not in FAMILIES):
                return True
        named = labels_of(s for s in (f.source_selector, f.destination_selector) if s is not None)
        if not ids.isdisjoint(named):
            return True
    return False
