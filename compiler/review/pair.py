"""Two parties and what decides between them in, the fate of any set of their packets out: both ends, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from calico_rkt.compiler.ir.model import ICMPV6, Action, Icmp, Match, Network, Rule, ToHost
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.bounds import Outline, Ranges, apart, outline
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.first_match import FirstMatch
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.space import Box, Space, meet
from calico_rkt.compiler.packets.subtract import pieces_left
from calico_rkt.compiler.review.parties import Kind, Party


@dataclass(frozen=True, slots=True)
class _LeftToHost(Rule):
    """A type of its own, so that it equals no rule: who compares two lists has to see one become the other."""


HOST_DECIDES = _LeftToHost(Action.ALLOW)
"""Stands for the host's own firewall, or for a setting of Felix that the files don't hold."""
_ALWAYS = tuple(
    Rule(Action.ALLOW, Match(ip_version=6, protocol=ICMPV6, icmp=Icmp(t))) for t in (130, 131, 132, 133, 135, 136)
)
"""ICMPv6 without which IPv6 does not work: allowed to the host before any policy (felix/rules/endpoints.go)."""


@dataclass(frozen=True)
class Stage:
    """One list of a network that a flow has to pass; words say which, such as `egress of web`."""

    words: str
    rules: tuple[Rule, ...]
    network: str = ""

    @cached_property
    def outlines(self) -> tuple[Outline, ...]:
        """Those of the rules, in order; they are asked for once for each pair."""
        return tuple(outline(r.match) for r in self.rules)

    @cached_property
    def allowing(self) -> tuple[tuple[Rule, Outline], ...]:
        """The rules that allow something, each with its outline."""
        both = zip(self.rules, self.outlines, strict=True)
        return tuple((r, o) for r, o in both if r.action is Action.ALLOW)

    def place(self, rule: Rule) -> int:
        """The first place of a rule in the list: of this very object."""
        return self._places[id(rule)]

    @cached_property
    def _places(self) -> dict[int, int]:
        return {id(r): n for n, r in reversed(list(enumerate(self.rules)))}

    @cached_property
    def allowed(self) -> tuple[Ranges, Ranges]:
        """Where the sources of what it allows are, and where the destinations are, each for itself."""
        return Ranges(o[:2] for _, o in self.allowing), Ranges(o[2:4] for _, o in self.allowing)


@dataclass(frozen=True, slots=True)
class View:
    """A pair in one revision: who is at the ends, and the stages between them."""

    source: Party
    destination: Party
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """Whether a flow passes, and the rule of each stage that says so, up to the one that denies; None: no rule.

    allowed is None where the host's own firewall, or Felix's own setting, has the last word.
    """

    allowed: bool | None
    rules: tuple[tuple[Stage, Rule | None], ...] = ()


NOWHERE = Fate(allowed=False)
"""The fate of packets that nobody can send, or that reach nobody."""


def view(
    source: Party,
    destination: Party,
    networks: Mapping[str, Network],
    known: dict[str, Stage],
    *,
    felix: bool,
    apart: bool = False,
) -> View | None:
    """None where the pair is none of this workspace's: no network is at either end, or the host talks to itself.

    felix says that the host's side is decided by Felix's own setting, which the files don't hold; apart, that the ends
    are networks of two datastores. known holds stages that were made before, by their words and whom they are about,
    and gets those that are made now.
    """

    def stage(direction: str, network: Network, *, to_host: bool = False) -> Stage:
        words = f"{direction} of {network.name}"
        key = f"{words} to the host" if to_host else f"{words} apart" if apart else words
        if key not in known:
            rules = _list(direction, network, felix=felix)
            if apart:
                rules = _unlabelled(rules, "source" if direction == "ingress" else "destination")
            known[key] = Stage(words, (*_ALWAYS, *rules) if to_host else rules, network.name)
        return known[key]

    ends = {source.kind, destination.kind}
    if Kind.NETWORK not in ends:
        return None
    stages: list[Stage] = []
    if source.kind is Kind.NETWORK:
        own = networks[source.name]
        if destination.kind is Kind.HOST:
            # Felix lets these through before the profile, so both stages begin with them.
            stages += (stage(direction, own, to_host=True) for direction in ("egress", "endpoint_to_host"))
        else:
            stages.append(stage("egress", own))
    if destination.kind is Kind.NETWORK and source.kind is not Kind.HOST:
        stages.append(stage("ingress", networks[destination.name]))
    return View(source, destination, tuple(stages))


def _list(direction: str, network: Network, *, felix: bool) -> tuple[Rule, ...]:
    if direction == "endpoint_to_host":
        return _to_host(network, felix=felix)
    return network.ingress if direction == "ingress" else network.egress


def _unlabelled(rules: Iterable[Rule], end: str) -> tuple[Rule, ...]:
    """A list as it meets an endpoint of another datastore: who enforces it knows of none there what labels it has.

    Such a one is as the outside to it: no selector holds, and no notSelector leaves it out.
    """
    met = ((rule, getattr(rule.match, end)) for rule in rules)
    return tuple(
        replace(rule, match=replace(rule.match, **{end: replace(side, not_selector=None)}))
        if side.not_selector
        else rule
        for rule, side in met
        if side.selector is None
    )


def _to_host(network: Network, *, felix: bool) -> tuple[Rule, ...]:
    if felix or network.endpoint_to_host is ToHost.RETURN:
        return (HOST_DECIDES,)
    return (Rule(Action.ALLOW),) if network.endpoint_to_host is ToHost.ACCEPT else ()


class Scene:
    """One pair, in one or two revisions, in a space of its own that only holds the rules that could matter.

    own are the ids of the confs' networks, known those of all networks that an endpoint may be of. selections are
    further matches that boxes() will be asked for. Where bounds are given (outlines), a rule that
    meets none of them is left out.
    """

    def __init__(
        self,
        views: Sequence[View],
        own: frozenset[str],
        known: frozenset[str],
        selections: Iterable[Match] = (),
        bounds: Sequence[Outline] | None = None,
    ) -> None:
        self.views = views
        self._stages = [[relevant(s.rules, s.outlines, v, own, bounds) for s in v.stages] for v in views]
        rules = [r for stages in self._stages for stage in stages for r in stage]
        named = labels_of(selectors_of(rules))
        ends = {p.id for v in views for p in (v.source, v.destination)}
        self._ids = (named | ends) & own
        frames = [self._frame(v, owned=True) for v in views]
        self.space = Space([*rules, *(Rule(Action.ALLOW, m) for m in (*frames, *selections))], known)
        self.universes = [self.boxes(self._frame(v, owned=True)) for v in views]

    @cached_property
    def reaches(self) -> list[list[Box]]:
        """As universes, where the outside and the host may have any address."""
        return [self.boxes(self._frame(v, owned=False)) for v in self.views]

    @cached_property
    def _lists(self) -> list[list[FirstMatch]]:
        return [[FirstMatch(self.space, rules) for rules in stages] for stages in self._stages]

    def boxes(self, match: Match) -> list[Box]:
        """The packets of a match that the space was made with, as disjoint boxes."""
        return list(self.space.boxes(Rule(Action.ALLOW, match)))

    def within(self, number: int, matches: Iterable[Match], less: Iterable[Match], budget: Budget) -> list[Box]:
        """The packets of view number that are in one of the matches and in none of less, as disjoint boxes."""
        blockers = [b for m in less for b in self.boxes(m)]
        wanted = [
            common
            for match in matches
            for box in self.boxes(match)
            for u in self.universes[number]
            if (common := meet(box, u)) is not None
        ]
        boxes = [*blockers, *wanted]
        index = Index(boxes)
        found: list[Box] = []
        for n, box in enumerate(wanted, len(blockers)):
            before = list(positions(index.near(box) & (1 << n) - 1))
            found += pieces_left(box, before, boxes, budget, set())
        return [b for b in found if not self.space.nobodys(b)]

    def nobody(self, number: int) -> str:
        """Why there is no packet between the ends of view number; empty where there is one."""
        boxes = self.universes[number]
        return nobody_words(self.views[number], some=bool(boxes)) if all(map(self.space.nobodys, boxes)) else ""

    def can_pass(self, number: int) -> bool:
        """False where a stage of the view has no rule that could allow anything: a quick look before the exact one."""
        return all(any(r.action is Action.ALLOW for r in stage) for stage in self._stages[number])

    def fates(self, number: int, box: Box, budget: Budget) -> Iterator[tuple[Box, Fate]]:
        """Disjoint pieces that hold each packet of the box, each with its fate in view number.

        Those of ICMP types that open no flow are left out: whatever rules say of them, they follow a flow or are
        thrown away.
        """
        pending: list[tuple[Box, Fate]] = [(box, Fate(allowed=True))]
        for stage, rules in zip(self.views[number].stages, self._lists[number], strict=True):
            passed: list[tuple[Box, Fate]] = []
            for piece, fate in pending:
                for part, rule in rules.fates(piece, budget):
                    if self.space.unsent(part):
                        continue
                    path = (*fate.rules, (stage, rule))
                    if rule is None or rule.action is Action.DENY:
                        yield part, Fate(allowed=False, rules=path)
                    else:
                        passed.append((part, Fate(None if rule is HOST_DECIDES else fate.allowed, path)))
            pending = passed
        yield from ((b, fate) for b, fate in pending if not self.space.unsent(b))

    def _frame(self, v: View, *, owned: bool) -> Match:
        return Match(
            source=v.source.side(self._ids, owned=owned), destination=v.destination.side(self._ids, owned=owned)
        )


def nobody_words(v: View, *, some: bool) -> str:
    """Why nobody sends a packet of a view; some: there would be packets, of one address to itself."""
    source, destination = v.source.name, v.destination.name
    if not some:
        return f"{source} and {destination} share no address family, or one of them has no address"
    if source == destination:
        return f"{source} has one address only"
    return f"{source} and {destination} have one address only, and it is the same"


def relevant(
    rules: Sequence[Rule],
    outlines: Sequence[Outline],
    v: View,
    ids: frozenset[str],
    bounds: Sequence[Outline] | None,
) -> list[Rule]:
    """The rules that could match a packet of the view, in order; some of them may not."""
    return [
        rule
        for rule, o in zip(rules, outlines, strict=True)
        if _concerns(rule, o, v, ids) and (bounds is None or not all(apart(o, b) for b in bounds))
    ]


def closed(v: View, ids: frozenset[str], bounds: Sequence[Outline] | None = None) -> bool:
    """Whether there are packets of the view and nothing can allow one: a quick look that needs no Scene.

    Where it says False, a Scene knows. Where bounds are given, it is about the packets in these, of which there may be
    none.
    """
    if not v.source.several & v.destination.several:
        return False
    return any(
        not (
            _may_pass(v, stage)
            and any(
                _concerns(rule, o, v, ids) and (bounds is None or not all(apart(o, b) for b in bounds))
                for rule, o in stage.allowing
            )
        )
        for stage in v.stages
    )


def _may_pass(v: View, stage: Stage) -> bool:
    """False where what the stage allows is from nobody or to nobody of the view."""
    ends = zip((v.source, v.destination), stage.allowed, strict=True)
    return all(not end.ranges or any(there.meet(*r) for r in end.ranges) for end, there in ends)


def _concerns(rule: Rule, o: Outline, v: View, ids: frozenset[str]) -> bool:
    """Whether a rule could match a packet of the view."""
    if not (_meets(v.source.ranges, o[0], o[1]) and _meets(v.destination.ranges, o[2], o[3])):
        return False
    m = rule.match
    return v.source.may_match(m.source, ids) and v.destination.may_match(m.destination, ids)


def _meets(ranges: tuple[tuple[int, int], ...], lo: int, hi: int) -> bool:
    for a, b in ranges:
        if a <= hi and lo <= b:
            return True
    return not ranges
