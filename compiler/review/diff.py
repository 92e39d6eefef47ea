"""Two revisions of a workspace in, what the second lets through that the first did not, and the reverse, out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import PurePath

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.review.causes import Causes
from calico_rkt.compiler.review.change import Diff
from calico_rkt.compiler.review.like_pairs import LikePairs
from calico_rkt.compiler.review.pair import View
from calico_rkt.compiler.review.pair_diff import Ends, PairDiff, parted
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
    differ = _Differ(old, new)
    alike = LikePairs(PairDiff(old, new, excused, differ.moved), differ.ends)
    undecided = [f"{name}, to and from everybody: {why}" for name, why in unreadable.items()]
    undecided += alike.ask(progress)
    names = [tuple(w.networks) for w in (old, new)]
    both = [n for n in names[0] if n in new.networks]
    return Diff(
        old.where,
        new.where,
        alike.changes(),
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


_KEYS = {"ip_masq": "ipMasq", "cni_version": "cniVersion", "cni_version_before": "cniVersion"}
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
        if keys := list(dict.fromkeys(_KEYS.get(k, k) for k in keys if k != "profiles_named")):
            yield name, tuple(keys)


class _Differ:
    """What differs between two worlds but for their packets, and the pairs in which these may."""

    def __init__(self, old: World, new: World) -> None:
        self.worlds = (old, new)
        self.causes = Causes(old, new)
        self.rules: dict[tuple[str, str], tuple[list[Rule], list[Rule]]] = {}
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

    def ends(self, source: Party, destination: Party) -> Ends | None:
        """Two parties as they were and are; None where nothing can have changed between them."""
        if self._untouched(source, destination):
            return None
        before, after = (self._view(w, source, destination) for w in self.worlds)
        # A pair without stages is the host and its own containers: no policy decides, or changes it.
        return Ends(before, after) if any(v is not None and v.stages for v in (before, after)) else None

    def _untouched(self, source: Party, destination: Party) -> bool:
        for party, direction, other in ((source, "egress", destination), (destination, "ingress", source)):
            if party.kind is Kind.NETWORK:
                if any(self.rules[direction, party.name]) or party.name in self.moved:
                    return False
                to_host = {w.networks[party.name].endpoint_to_host for w in self.worlds if party.name in w.networks}
                if other.kind is Kind.HOST and (len(to_host) > 1 or self._store_changed(party.name)):
                    return False
        return not parted(self.worlds, source, destination)

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
