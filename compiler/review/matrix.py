"""A world in, who reaches whom and on what out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.packets.space import Box, meet
from calico_rkt.compiler.review.carry import places, speaks_of_ends, there
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.pair import Fate, Scene, Stage, View, closed, nobody_words
from calico_rkt.compiler.review.parties import Kind
from calico_rkt.compiler.review.progress import Progress
from calico_rkt.compiler.review.snapshot import World

MOST_FLOWS = 24
"""Flows of one cell or case that people are shown; JSON has all of them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What passes from a row to a column. everything: all that there can be; unsure: the host has the last word.

    flows share no packet; decided are, for each of them, those of rules that let a part of it through;
    left are those of them that the host's own firewall decides about.
    rules are those that let something through, with the stage that each stands in. undecided: why nothing is known.
    nobody: why there is no packet between the two.
    """

    flows: tuple[Flow, ...] = ()
    everything: bool = False
    unsure: bool = False
    rules: tuple[tuple[Stage, Rule], ...] = ()
    undecided: str = ""
    nobody: str = ""
    left: tuple[Flow, ...] = ()
    decided: tuple[tuple[tuple[Stage, Rule], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """cells by the names of row and column; pairs that no network's policy decides have none."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]


Share = Callable[[int, Callable[[int], object], Iterable[object], Callable[[int], None]], Mapping[int, object]]
"""Does numbered work in several processes: how much, what, the objects that have to stay the same, whom to tell.

What is missing in its answer is done here.
"""
_MANY_RULES = 8000
"""Rules between all pairs, together, from which on work is shared: about a second of it."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A cell as it is where nothing was spent before, and what it took of the answer's two budgets."""

    cell: Cell
    steps: int
    words: int


def matrix_of(world: World, progress: Progress | None = None, share: Share | None = None) -> Matrix:
    """Every pair that the workspace decides, exactly; the same with share and without.

    Pairs that no rule tells apart are one question: the first of them is decided.
    """
    views = list(world.views())
    keys = [world.likeness.key(v) for v in views]
    whole = Budget.of_an_answer()
    found: dict[object, _Found] = {}

    def decide(wanted: Iterable[tuple[object, int]]) -> None:
        first: dict[object, int] = {}
        for key, n in wanted:
            first.setdefault(key, n)
        for n, cell in _decided_all(world, views, list(first.values()), whole, progress, share):
            found[keys[n].equal] = _Found(views[n], cell)
            found.setdefault(keys[n].alike, found[keys[n].equal])

    decide((k.alike, n) for n, k in enumerate(keys))
    decide((k.equal, n) for n, k in enumerate(keys) if found[k.alike].is_its_own and k.equal not in found)
    cells: dict[tuple[str, str], Cell] = {}
    for view, key in zip(views, keys, strict=True):
        one = found[key.alike]
        one = found[key.equal] if one.is_its_own else one
        cells[view.source.name, view.destination.name] = one.cell_of(view)
    names = (*world.networks, *world.unreadable)
    names = (*names, *(p.name for p in world.parties if p.kind not in (Kind.NETWORK, Kind.HOST)), "host")
    for bad, why in world.unreadable.items():
        cells.update({key: Cell(undecided=why) for name in names for key in ((bad, name), (name, bad))})
    return Matrix(names, names, cells)


class _Found:
    """The cell of one pair, to be carried to those that are like it."""

    def __init__(self, view: View, cell: Cell) -> None:
        self.view, self.cell = view, cell
        self.is_its_own = speaks_of_ends(cell.flows, view)
        self._rules = places(view, cell.rules)
        self._decided = [places(view, rules) for rules in cell.decided]

    def cell_of(self, view: View) -> Cell:
        """That of a pair that is like this one."""
        cell = self.cell
        if view is self.view or not (cell.rules or cell.nobody):
            return cell
        if cell.nobody:
            return Cell(nobody=nobody_words(view, some=cell.nobody != nobody_words(self.view, some=False)))
        decided = tuple([there(view, at) for at in self._decided])
        return replace(cell, rules=there(view, self._rules), decided=decided)


def _decided_all(
    world: World,
    views: Sequence[View],
    numbers: Sequence[int],
    whole: Budget,
    progress: Progress | None,
    share: Share | None,
) -> Iterator[tuple[int, Cell]]:
    """The cells of some views, by their numbers, in order."""
    asked = [views[n] for n in numbers]

    def tell(n: int) -> None:
        if progress is not None:
            progress(numbers[n], len(views), f"{asked[n].source.name} -> {asked[n].destination.name}")

    done = _shared(world, asked, share, tell) if share is not None else {}
    for n, view in enumerate(asked):
        one = done.get(n)
        if one is None:
            tell(n)
        given = one.cell if isinstance(one, _Done) and _affordable(one, whole) else _decided(world, view, whole)
        yield numbers[n], given


def _shared(world: World, views: Sequence[View], share: Share, tell: Callable[[int], None]) -> Mapping[int, object]:
    stages = {id(s): s for v in views for s in v.stages}
    if sum(len(s.rules) for v in views for s in v.stages) < _MANY_RULES:
        return {}

    def work(n: int) -> _Done:
        whole = Budget.of_an_answer()
        cell = _decided(world, views[n], whole)
        return _Done(cell, whole.steps - whole.left, whole.words.steps - whole.words.left if whole.words else 0)

    return share(len(views), work, (o for s in stages.values() for o in (s, *s.rules)), tell)


def _affordable(one: _Done, whole: Budget) -> bool:
    """Whether the cell would be the same after all that was spent; then it is spent, too."""
    words = whole.words or whole.for_words().whole
    assert words is not None
    if one.steps > whole.left or one.words > words.left:
        return False
    whole.left -= one.steps
    words.left -= one.words
    return True


def _decided(world: World, view: View, whole: Budget) -> Cell:
    try:
        return _cell(world, view, Budget(whole=whole))
    except UndecidedError as e:
        return Cell(undecided=str(e))


def given_up(found: Matrix) -> bool:
    """Whether a pair is not decided."""
    return any(cell.undecided for cell in found.cells.values())


def cell_kind(cell: Cell | None) -> str:
    """all, some, none, host (has the last word), undecided or nobody; empty where there is no such cell."""
    if cell is None:
        return ""
    if cell.undecided:
        return "undecided"
    if cell.nobody:
        return "nobody"
    if cell.unsure:
        return "host"
    return "all" if cell.everything else "some" if cell.flows else "none"


def cell_words(cell: Cell) -> str:
    """What passes, in one line."""
    if cell.undecided:
        return f"undecided: {cell.undecided}"
    if cell.nobody:
        return f"no such pair: {cell.nobody}"
    if not cell.flows:
        return "nothing"
    return "; ".join(flow_words(cell))


class Words:
    """Cells in, what cell_words() says of each out; those that share their flows, as like pairs do, are said once."""

    def __init__(self) -> None:
        self._said: dict[object, tuple[Cell, str]] = {}

    def of(self, cell: Cell) -> str:
        if cell.undecided or cell.nobody:
            return cell_words(cell)
        key = id(cell.flows), id(cell.left), cell.everything
        known = self._said.get(key)
        if known is None:
            known = self._said[key] = cell, cell_words(cell)  # with the cell, so that no others get these ids
        return known[1]


def flow_words(cell: Cell) -> list[str]:
    """Each flow of a cell, at most so many and how many there are more; what the host decides about says so."""
    found = [f"{f} (left to the host)" if f in cell.left else str(f) for f in cell.flows]
    if len(found) > MOST_FLOWS + 1:
        found = [*found[:MOST_FLOWS], f"{len(found) - MOST_FLOWS} more flows"]
    if cell.everything and len(cell.left) in (0, len(cell.flows)):
        return ["everything (left to the host)" if cell.left else "everything"]
    return found


def _cell(world: World, view: View, budget: Budget) -> Cell:
    if not view.stages:
        return Cell((Flow(),), everything=True, decided=((),))
    if closed(view, world.own):
        return Cell()
    scene = Scene([view], world.own, world.known)
    if why := scene.nobody(0):
        return Cell(nobody=why)
    if not scene.can_pass(0):
        return Cell()
    passing: dict[bool, list[tuple[Box, Fate]]] = {False: [], True: []}
    rules: dict[tuple[str, int], tuple[Stage, Rule]] = {}
    everything = True
    for box in scene.universes[0]:
        for piece, fate in scene.fates(0, box, budget):
            if fate.allowed is False:
                everything = False
                continue
            passing[fate.allowed is None].append((piece, fate))
            rules.update({(s.words, id(r)): (s, r) for s, r in fate.rules if r is not None})
    flows: dict[bool, list[Flow]] = {False: [], True: []}
    decided: list[tuple[tuple[Stage, Rule], ...]] = []
    for unsure, pieces in passing.items():
        index = Index([p for p, _ in pieces])
        for box in readable(scene.space, index.boxes, scene.universes[0], budget):
            flows[unsure].append(flow(scene.space, box, scene.universes[0]))
            near = (pieces[n] for n in positions(index.near(box)))
            fates = [fate for p, fate in near if meet(p, box) is not None]
            mine = {(s.words, id(r)): (s, r) for fate in fates for s, r in fate.rules if r is not None}
            decided.append(tuple(mine.values()))
    sure, left = map(tuple, flows.values())
    return Cell((*sure, *left), everything, bool(left), tuple(rules.values()), left=tuple(left), decided=tuple(decided))
