"""A world in, who reaches whom and on what out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calico_rkt.compiler.ir import Rule
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.readable import readable
from calico_rkt.compiler.packets.space import Box
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.parties import Kind
from calico_rkt.compiler.review.scene import Scene, Stage, View
from calico_rkt.compiler.review.world import World

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """What passes from a row to a column. everything: all that there can be; unsure: the host has the last word.

    rules are those that let something through, with the stage that each stands in. undecided: why nothing is known.
    """

    flows: tuple[Flow, ...] = ()
    everything: bool = False
    unsure: bool = False
    rules: tuple[tuple[Stage, Rule], ...] = ()
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """cells by the names of row and column; pairs that no network's policy decides have none."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]


def matrix(world: World, progress: Progress | None = None) -> Matrix:
    """Every pair that the workspace decides, exactly."""
    views = list(world.views())
    cells: dict[tuple[str, str], Cell] = {}
    for n, view in enumerate(views):
        key = view.source.name, view.destination.name
        if progress is not None:
            progress(n, len(views), " -> ".join(key))
        try:
            cells[key] = _cell(world, view)
        except UndecidedError as e:
            cells[key] = Cell(undecided=str(e))
    names = tuple(p.name for p in world.parties if p.kind is not Kind.HOST)
    return Matrix((*names, "host"), (*names, "host"), cells)


def kind(cell: Cell | None) -> str:
    """A cell's kind: all, some, none or undecided; empty where there is no such cell."""
    if cell is None:
        return ""
    if cell.undecided:
        return "undecided"
    return "all" if cell.everything else "some" if cell.flows else "none"


def cell_words(cell: Cell) -> str:
    """What passes, in one line."""
    if cell.undecided:
        return f"undecided: {cell.undecided}"
    if not cell.flows:
        return "nothing"
    said = "everything" if cell.everything else "; ".join(map(str, cell.flows))
    return said + (" (left to the host)" if cell.unsure else "")


def _cell(world: World, view: View) -> Cell:
    if not view.stages:
        return Cell((Flow(),), everything=True)
    scene = Scene([view], world.own, world.known)
    if not scene.can_pass(0):
        return Cell()
    budget = Budget()
    passing: list[Box] = []
    rules: dict[tuple[str, int], tuple[Stage, Rule]] = {}
    everything, unsure = True, False
    for box in scene.universes[0]:
        for piece, fate in scene.fates(0, box, budget):
            if fate.allowed is False:
                everything = False
                continue
            unsure = unsure or fate.allowed is None
            passing.append(piece)
            rules.update({(s.words, id(r)): (s, r) for s, r in fate.rules if r is not None})
    boxes = readable(scene.space, passing, scene.universes[0], budget)
    flows = tuple(flow(scene.space, b, scene.universes[0]) for b in boxes)
    return Cell(flows, everything and bool(passing), unsure, tuple(rules.values()))
