"""A pair of parties before and after in, the flows whose fate changed out; and each of them between others alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.bounds import outline
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.ranges import Cells, example
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.packets.space import Box, meet
from calico_rkt.compiler.packets.subtract import pieces_left
from calico_rkt.compiler.review.carry import cells_there, fate_there
from calico_rkt.compiler.review.causes import Cause, Causes, together
from calico_rkt.compiler.review.change import Change, Part, Parts
from calico_rkt.compiler.review.expect import matches_between
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.pair import NOWHERE, Fate, Scene, Stage, View, relevant
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.rule_diff import changed_rules
from calico_rkt.compiler.review.snapshot import World


@dataclass(frozen=True, slots=True)
class Ends:
    """Two parties as they were and as they are; one of the views may be missing."""

    before: View | None
    after: View | None

    @property
    def views(self) -> list[View]:
        return [v for v in (self.before, self.after) if v is not None]

    @property
    def names(self) -> tuple[str, str]:
        newer = self.views[-1]
        return newer.source.name, newer.destination.name


@dataclass(frozen=True, slots=True)
class Way:
    """Packets of a flow that the same rules decide before and the same after."""

    box: Box
    before: Fate
    after: Fate


@dataclass(frozen=True, slots=True)
class Found:
    """A flow of a pair whose fate changed, in all its ways, the first of which is shown; cells are what boxes are of.

    marked are the rules that differ, by id; None where the pair came, went or has other addresses.
    """

    ends: Ends
    widened: bool
    flow: Flow
    ways: tuple[Way, ...]
    cells: Cells
    marked: frozenset[int] | None

    def there(self, ends: Ends) -> Found:
        """The same between other ends, which are like these."""
        if ends is self.ends:
            return self
        marked: set[int] = set()
        ways: list[Way] = []
        for way in self.ways:
            both = (
                fate_there(way.before, self.ends.before, ends.before),
                fate_there(way.after, self.ends.after, ends.after),
            )
            ways.append(Way(way.box, *both))
            for mine, other in zip((way.before, way.after), both, strict=True):
                pairs = zip(mine.rules, other.rules, strict=True)
                marked.update(id(r) for (_, a), (_, r) in pairs if self.marked is not None and id(a) in self.marked)
        views = [e.after if self.widened else e.before for e in (self.ends, ends)]
        assert views[0] is not None
        assert views[1] is not None
        cells = cells_there(self.cells, views[0], views[1])
        return Found(
            ends, self.widened, self.flow, tuple(ways), cells, None if self.marked is None else frozenset(marked)
        )

    def parts(self) -> Iterator[Part]:
        """Each way with one of its packets."""
        for way in self.ways:
            yield Part(*self.ends.names, example(self.cells, way.box), way.before, way.after)

    def differing(self, *, new_first: bool = False) -> Iterator[tuple[Stage, Rule, bool]]:
        """The rules that differ in its ways, with their stages, and whether they are the new revision's."""
        for way in self.ways:
            both = (way.before, False), (way.after, True)
            for fate, new in reversed(both) if new_first else both:
                for stage, rule in fate.rules:
                    if rule is not None and (self.marked is None or id(rule) in self.marked):
                        yield stage, rule, new

    @property
    def lines(self) -> tuple[Span, ...]:
        """Those of the rules that differ."""
        rules = (r for _, r, _ in self.differing(new_first=self.widened))
        return tuple(dict.fromkeys(r.span for r in rules if r.span))


class PairDiff:
    """Looks at pairs of two worlds; moved are the networks that have other addresses.

    Newly allowed packets that one of excused speaks of are left out.
    """

    def __init__(self, old: World, new: World, excused: Sequence[Expectation], moved: Collection[str]) -> None:
        self.worlds, self.excused, self.moved = (old, new), excused, moved
        self.budget = Budget.of_an_answer()
        self.causes = Causes(old, new)
        self.own, self.known = old.own | new.own, old.known | new.known
        self._stages: dict[tuple[int, int], list[Rule]] = {}
        """By the stages themselves, which the worlds keep: two of one name need not have the same rules."""
        self._lines: dict[tuple[str, str], tuple[frozenset[Span | None], frozenset[Span | None]]] = {}

    def found(self, ends: Ends) -> list[Found]:
        """What changed between two parties. UndecidedError where that is too much to look at."""
        before, after, views = ends.before, ends.after, ends.views
        budget = Budget(whole=self.budget)
        changed = self._changed(before, after)
        if changed is not None:
            changed = relevant(changed, [outline(r.match) for r in changed], views[0], self.own, None)
            if not changed:
                return []
        bounds = None if changed is None else [outline(r.match) for r in changed]
        matches = [r.match for r in changed or ()]
        excuses = [(m, e.exceptions) for e in self.excused if (m := matches_between(e, views[-1]))]
        selections = [*matches, *(m for some, less in excuses for m in (*some, *less))]
        scene = Scene(views, self.own, self.known, selections, bounds)
        excused = [b for some, less in excuses for b in scene.within(len(views) - 1, some, less, budget)]
        at = {id(v): n for n, v in enumerate(views)}
        # The universe of each side: what nobody can send is neither allowed nor denied by anybody.
        out: list[Found] = []
        for widened, mine, theirs in ((True, after, before), (False, before, after)):
            if mine is None:
                continue
            number = at[id(mine)]
            region = scene.universes[number] if changed is None else scene.within(number, matches, (), budget)
            # A flow is of packets with one verdict before and one after: what is left to the host is not denied.
            pieces: dict[object, list[tuple[Box, Fate, Fate]]] = {}
            for box in region:
                for part, fate in scene.fates(number, box, budget):
                    if fate.allowed is False:
                        continue
                    for smaller, other in self._other(scene, at.get(id(theirs)), part, budget):
                        if _rank(other) < _rank(fate):
                            left = (
                                p
                                for p in pieces_left(smaller, range(len(excused)), excused, budget, set())
                                if not scene.space.nobodys(p)
                            )
                            alike = pieces.setdefault((fate.allowed, other.allowed), [])
                            alike += [(p, fate, other) for p in (left if widened else (smaller,))]
            marked = None if changed is None else frozenset(id(r) for r in changed)
            for alike in pieces.values():
                out += self._flows(ends, scene, number, widened, alike, marked, budget)
        return out

    def _changed(self, before: View | None, after: View | None) -> list[Rule] | None:
        """The rules that make the difference; None: the whole pair is to be looked at."""
        if before is None or after is None or _addresses(before) != _addresses(after):
            return None
        out: list[Rule] = []
        for a, b in zip(before.stages, after.stages, strict=True):
            key = (id(a), id(b))
            if key not in self._stages:
                gone, come = changed_rules(a.rules, b.rules)
                self._stages[key] = [r for r in (*gone, *come) if r.action is not Action.LOG]
            out += self._stages[key]
        return out

    def _other(self, scene: Scene, number: int | None, box: Box, budget: Budget) -> Iterator[tuple[Box, Fate]]:
        """The fates of a box in the other revision, where the outside may have had any address."""
        if number is None:
            yield box, NOWHERE
            return
        reach = scene.reaches[number]
        for u in reach:
            common = meet(box, u)
            if common is not None:
                yield from scene.fates(number, common, budget)
        for rest in pieces_left(box, range(len(reach)), reach, budget, set()):
            if not scene.space.nobodys(rest):
                yield rest, NOWHERE

    def _flows(
        self,
        ends: Ends,
        scene: Scene,
        number: int,
        widened: bool,
        pieces: Sequence[tuple[Box, Fate, Fate]],
        marked: frozenset[int] | None,
        budget: Budget,
    ) -> Iterator[Found]:
        universe = scene.universes[number]
        for box in readable(scene.space, [p for p, _, _ in pieces], universe, budget):
            ways: dict[object, Way] = {}
            for p, fate, other in pieces:
                piece = meet(p, box)
                if piece is not None:
                    before, after = (other, fate) if widened else (fate, other)
                    path = tuple((stage.words, id(r)) for f in (before, after) for stage, r in f.rules)
                    ways.setdefault(path, Way(piece, before, after))
            yield Found(ends, widened, flow(scene.space, box, universe), tuple(ways.values()), scene.space, marked)

    def change(self, found: Found) -> Change:
        """What is said of a flow that changed."""
        source, destination = found.ends.names
        parts = _Kept(source, destination, tuple(found.parts()))
        first = parts.made[0]
        causes = self.causes_of(found)
        return Change(
            found.widened,
            (source,),
            (destination,),
            found.flow,
            first.example,
            first.before,
            first.after,
            found.lines,
            causes,
            next((c.span for c in causes if c.span and not c.gone), None) or self._decides(first),
            Parts([parts]),
        )

    def causes_of(self, found: Found) -> tuple[Cause, ...]:
        """The lines that changed and make the difference; none where the pair came or went with a network."""
        view = found.ends.after if found.widened else found.ends.before
        assert view is not None
        said: list[Cause] = []
        if found.marked is None:
            ends = (view.source, view.destination)
            said += [self.causes.of_addresses(p.name) for p in ends if p.kind is Kind.NETWORK and p.name in self.moved]
            return together(said)
        for stage, rule, new in found.differing():
            if stage.words.startswith("endpoint_to_host"):
                said.append(self.causes.of_host(stage.network))
            else:
                said += self.causes_in(found, stage, rule, new=new)
        if not said and view.destination.kind is Kind.HOST:
            said.append(self.causes.of_host(view.source.name))
        return together(said)

    def causes_in(self, found: Found, stage: Stage, rule: Rule, *, new: bool) -> Iterator[Cause]:
        """Why a list has a rule for a flow in that revision alone: it was written, or an end moved."""
        moved = self.parted(found.ends)
        if moved and rule.span not in self._written(stage, new=new):
            yield from map(self.causes.of_store, moved)
        else:
            yield from self.causes.of_rule(rule, stage.network, found.flow, new=new)

    def parted(self, ends: Ends) -> tuple[str, ...]:
        """The networks at the ends that moved, where both came to be in one datastore, or in two."""
        if ends.before is None or ends.after is None:
            return ()
        both = ends.after.source, ends.after.destination
        if not parted(self.worlds, *both):
            return ()
        stores = ((p.name, {w.confs[p.name].datastore_type for w in self.worlds}) for p in both)
        return tuple(name for name, types in stores if len(types) > 1)

    def _written(self, stage: Stage, *, new: bool) -> frozenset[Span | None]:
        """The lines of a list's rules that only one revision has, as its files say it."""
        direction = stage.words.partition(" ")[0]
        key = direction, stage.network
        if key not in self._lines:
            lists = (getattr(w.networks[stage.network], direction) for w in self.worlds)
            gone, come = (frozenset(r.span for r in rules) for rules in changed_rules(*lists))
            self._lines[key] = gone, come
        return self._lines[key][new]

    def _decides(self, part: Part) -> Span | None:
        """The line of the new revision that decides a part, where it changed; else where the network is told of."""
        stages = {stage.words: rule for stage, rule in part.after.rules}
        order = [stage for stage, _ in (*part.before.rules[-1:], *reversed(part.after.rules))]
        files = {f.path for f in self.worlds[1].files}
        for stage in order:
            rule = stages.get(stage.words)
            if rule is not None and rule.span is not None and rule.span.path in files:
                return rule.span
        homes = (self.causes.home(stage.network) for stage in order)
        return next((span for span in homes if span is not None), None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The parts of a pair that were made."""

    source: str
    destination: str
    made: tuple[Part, ...]

    def parts(self) -> Iterable[Part]:
        return self.made


def parted(worlds: Iterable[World], source: Party, destination: Party) -> bool:
    """Whether two networks came to be in one datastore, or in two; not where one is new, or gone."""
    networks = all(p.kind is Kind.NETWORK for p in (source, destination))
    there = (w for w in worlds if networks and source.name in w.networks and destination.name in w.networks)
    return len({w.apart(source, destination) for w in there}) > 1


def _addresses(v: View) -> tuple[object, ...]:
    """What of a view says which packets it is about; what the outside owns follows from the networks' addresses."""
    return tuple((p.key, p.nets, p.not_nets if p.kind is Kind.NETWORK else ()) for p in (v.source, v.destination))


def _rank(fate: Fate) -> int:
    return {False: 0, None: 1, True: 2}[fate.allowed]
