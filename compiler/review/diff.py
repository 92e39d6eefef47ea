"""Two revisions of a workspace in, what the second lets through that the first did not, and the reverse, out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import PurePath

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.bounds import outline
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.packets.space import Box, meet
from calico_rkt.compiler.packets.subtract import pieces_left
from calico_rkt.compiler.review.causes import Cause, Causes, together
from calico_rkt.compiler.review.change import Change, Diff, Part, merged
from calico_rkt.compiler.review.expect import matches_between
from calico_rkt.compiler.review.flows import Flow, flow
from calico_rkt.compiler.review.pair import NOWHERE, Fate, Scene, View, closed, relevant
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.progress import Progress
from calico_rkt.compiler.review.rule_diff import changed_rules
from calico_rkt.compiler.review.snapshot import World


def diff_worlds(old: World, new: World, progress: Progress | None = None, excused: Sequence[Expectation] = ()) -> Diff:
    """Every pair of networks, other endpoints, outside and host; exact, or named in undecided.

    Newly allowed packets that one of excused speaks of are left out.
    """
    unreadable = {**old.unreadable, **new.unreadable}
    old, new = old.without(unreadable), new.without(unreadable)
    differ = _Differ(old, new, excused)
    changes: list[Change] = []
    undecided = [f"{name}, to and from everybody: {why}" for name, why in unreadable.items()]
    pairs = list(differ.pairs(progress))
    for n, (before, after) in enumerate(pairs):
        view = after or before
        assert view is not None
        name = f"{view.source.name} -> {view.destination.name}"
        if progress is not None:
            progress(n, len(pairs), name)
        try:
            changes += differ.pair(before, after)
        except UndecidedError as e:
            undecided.append(f"{name}: {e}")
    names = [tuple(w.networks) for w in (old, new)]
    both = [n for n in names[0] if n in new.networks]
    return Diff(
        old.where,
        new.where,
        merged(changes),
        tuple(n for n in both if n in differ.moved),
        tuple(n for n in names[1] if n not in old.networks),
        tuple(n for n in names[0] if n not in new.networks),
        tuple(words for words, _ in differ.logging()),
        tuple(undecided),
        differ.any(),
        _files(old, new),
        tuple(place for _, place in differ.logging()),
        tuple(_confs(old, new, differ.moved)),
    )


def _files(old: World, new: World) -> tuple[str, ...]:
    """The files with rules whose text differs, as the new revision calls them; else by their old paths."""
    both: list[dict[str, dict[str, bytes]]] = [{}, {}]
    for by_name, world in zip(both, (old, new), strict=True):
        for path, text in world.texts.items():
            by_name.setdefault(PurePath(path).name, {})[path] = text
    out: list[str] = []
    for name in sorted({**both[0], **both[1]}):
        before, after = (by_name.get(name, {}) for by_name in both)  # several folders may have a file of this name
        if sorted(before.values()) != sorted(after.values()):
            found = [path for path, text in after.items() if text not in before.values()]
            out += found or list(after) or list(before)
    return tuple(out)


_KEYS = {"ip_masq": "ipMasq", "cni_version": "cniVersion"}
"""Those of a conf that are called otherwise in its file."""


def _confs(old: World, new: World, moved: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The networks whose confs say something else, each with the keys; ranges of those that moved are told apart."""
    for name, after in new.confs.items():
        before = old.confs.get(name)
        if before is None or name not in new.networks or name not in old.networks:
            continue
        keys = [f.name for f in fields(NetConf) if getattr(before, f.name) != getattr(after, f.name)]
        if name in moved and replace(before.ipam, ranges=(), exclude=()) == replace(after.ipam, ranges=(), exclude=()):
            keys = [k for k in keys if k != "ipam"]
        if keys := [_KEYS.get(k, k) for k in keys if k != "profiles_named"]:
            yield name, tuple(keys)


class _Differ:
    def __init__(self, old: World, new: World, excused: Sequence[Expectation]) -> None:
        self.worlds, self.excused = (old, new), excused
        self.budget = Budget.of_an_answer()
        self.causes = Causes(old, new)
        self.own, self.known = old.own | new.own, old.known | new.known
        self.rules: dict[tuple[str, str], tuple[list[Rule], list[Rule]]] = {}
        self._stages: dict[tuple[str, bool], list[Rule]] = {}
        ends = [{p.name: (p.nets, p.not_nets) for p in w.parties if p.kind is Kind.NETWORK} for w in self.worlds]
        self.moved = frozenset(n for n in {**ends[0], **ends[1]} if ends[0].get(n) != ends[1].get(n))
        for name in {**old.networks, **new.networks}:
            for direction in ("ingress", "egress"):
                lists = [getattr(w.networks.get(name), direction, ()) for w in self.worlds]
                self.rules[direction, name] = changed_rules(lists[0], lists[1])

    def any(self) -> bool:
        old, new = self.worlds
        return dict(old.networks) != dict(new.networks) or old.parties != new.parties

    def logging(self) -> Iterator[tuple[tuple[str, tuple[Span, ...]], Span | None]]:
        """The lists whose Log rules differ, each with the lines, and the line of the new revision to look at."""
        for (direction, name), lists in self.rules.items():
            gone, come = ([r.span for r in rules if r.action is Action.LOG and r.span] for rules in lists)
            if gone or come:
                lines = tuple(dict.fromkeys((*gone, *come)))
                yield (f"{direction} of {name}", lines), come[0] if come else self.causes.home(name)
        for name in self.worlds[1].networks:
            yield from self._log_limit(name)

    def _log_limit(self, name: str) -> Iterator[tuple[tuple[str, tuple[Span, ...]], Span | None]]:
        """The same, where the rules that log write more or less than before."""
        both = [w.networks[name] for w in self.worlds if name in w.networks]
        logs = [[r.span for r in (*n.ingress, *n.egress) if r.action is Action.LOG and r.span] for n in both]
        if len(both) < 2 or not all(logs) or both[0].log_limit == both[1].log_limit:
            return
        old, new = (n.log_limit for n in both)
        words = f"each Log of {name} writes {new.rate} lines a second ({new.burst} at once), "
        words += f"not {old.rate} ({old.burst} at once)"
        yield (words, tuple(dict.fromkeys(logs[1]))), logs[1][0]

    def pairs(self, progress: Progress | None) -> Iterator[tuple[View | None, View | None]]:
        """The pairs in which anything could have changed, row by row; not those that nothing opened or opens."""
        everyone = {p.key: p for w in self.worlds for p in w.parties}
        for n, source in enumerate(everyone.values()):
            if progress is not None:
                progress(n, len(everyone), f"{source.name} -> all")
            for destination in everyone.values():
                if not self._untouched(source, destination):
                    before, after = (self._view(w, source, destination) for w in self.worlds)
                    # A pair without stages is the host and its own containers: no policy decides, or changes it.
                    views = [v for v in (before, after) if v is not None and v.stages]
                    if any(not closed(v, self.own) for v in views):
                        yield before, after

    def _untouched(self, source: Party, destination: Party) -> bool:
        for party, direction, other in ((source, "egress", destination), (destination, "ingress", source)):
            if party.kind is Kind.NETWORK:
                if any(self.rules[direction, party.name]) or party.name in self.moved:
                    return False
                to_host = {w.networks[party.name].endpoint_to_host for w in self.worlds if party.name in w.networks}
                if other.kind is Kind.HOST and (len(to_host) > 1 or self._store_changed(party.name)):
                    return False
        return True

    def _store_changed(self, name: str) -> bool:
        stores = {w.confs[name].datastore_type == "local" for w in self.worlds if name in w.confs}
        return len(stores) > 1

    def _view(self, world: World, source: Party, destination: Party) -> View | None:
        ends = [world.party(p.kind, p.name) for p in (source, destination)]
        # Other endpoints exist in both revisions, though only one may have rules that tell them from the outside.
        source_, destination_ = (
            p if p is not None or q.kind is not Kind.OTHERS else q
            for p, q in zip(ends, (source, destination), strict=True)
        )
        return None if source_ is None or destination_ is None else world.view(source_, destination_)

    def pair(self, before: View | None, after: View | None) -> list[Change]:
        """What changed between two parties."""
        budget = Budget(whole=self.budget)
        views = [v for v in (before, after) if v is not None]
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
        found: list[Change] = []
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
            for alike in pieces.values():
                found += self._changes(scene, number, widened, alike, changed, budget)
        return found

    def _changed(self, before: View | None, after: View | None) -> list[Rule] | None:
        """The rules that make the difference; None: the whole pair is to be looked at."""
        if before is None or after is None or _ends(before) != _ends(after):
            return None
        out: list[Rule] = []
        for a, b in zip(before.stages, after.stages, strict=True):
            key = (a.words, before.destination.kind is Kind.HOST)
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

    def _changes(
        self,
        scene: Scene,
        number: int,
        widened: bool,
        pieces: Sequence[tuple[Box, Fate, Fate]],
        changed: list[Rule] | None,
        budget: Budget,
    ) -> Iterator[Change]:
        view = scene.views[number]
        marked = None if changed is None else {id(r) for r in changed}
        for box in readable(scene.space, [p for p, _, _ in pieces], scene.universes[number], budget):
            mine = [(m, a, b) for p, a, b in pieces if (m := meet(p, box)) is not None]
            lines = dict.fromkeys(
                r.span
                for _, a, b in mine
                for fate in (a, b)
                for _, r in fate.rules
                if r is not None and r.span and (marked is None or id(r) in marked)
            )
            parts: dict[object, Part] = {}
            for piece, fate, other in mine:
                before, after = (other, fate) if widened else (fate, other)
                path = tuple((stage.words, id(r)) for f in (before, after) for stage, r in f.rules)
                if path not in parts:
                    ends = view.source.name, view.destination.name
                    parts[path] = Part(*ends, example(scene.space, piece), before, after)
            first = next(iter(parts.values()))
            said = flow(scene.space, box, scene.universes[number])
            causes = self._causes(view, parts.values(), marked, said)
            yield Change(
                widened,
                (view.source.name,),
                (view.destination.name,),
                said,
                first.example,
                first.before,
                first.after,
                tuple(lines),
                causes,
                next((c.span for c in causes if c.span and not c.gone), None) or self._decides(first),
                tuple(parts.values()),
            )

    def _causes(self, view: View, parts: Iterable[Part], marked: set[int] | None, said: Flow) -> tuple[Cause, ...]:
        """The lines that changed and make the difference; none where the pair came or went with a network."""
        found: list[Cause] = []
        for part in parts:
            for fate, new in ((part.before, False), (part.after, True)):
                for stage, rule in fate.rules:
                    if rule is not None and marked is not None and id(rule) in marked:
                        if stage.words.startswith("endpoint_to_host"):
                            found.append(self.causes.of_host(stage.network))
                        else:
                            found += self.causes.of_rule(rule, stage.network, said, new=new)
        if marked is None:
            ends = (view.source, view.destination)
            found += [self.causes.of_addresses(p.name) for p in ends if p.kind is Kind.NETWORK and p.name in self.moved]
        elif not found and view.destination.kind is Kind.HOST:
            found.append(self.causes.of_host(view.source.name))
        return together(found)

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


def _ends(v: View) -> tuple[object, ...]:
    """What of a view says which packets it is about; what the outside owns follows from the networks' addresses."""
    return tuple((p.key, p.nets, p.not_nets if p.kind is Kind.NETWORK else ()) for p in (v.source, v.destination))


def _rank(fate: Fate) -> int:
    return {False: 0, None: 1, True: 2}[fate.allowed]
