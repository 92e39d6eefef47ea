"""One direction's rules in; fewer that do the same with every packet, whatever labels its ends have, out.

Between two Logs rules that decide nothing are left out, and rules of one action that differ in one field alone are one
rule: a field's members are alternatives. A rule moves to an earlier one of its kind, or an earlier one to it, past
those only that it does not meet, or that do the same. So the order of any two rules that meet and do not agree stays.
Logs stay, each at its place, and meet the same packets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.needless import needless
from calico_rkt.compiler.packets.space import Space, meet
from calico_rkt.compiler.passes.merge import joined_nets, joined_ports
from calico_rkt.compiler.targets.calico_v3.parts import parts

_AT_LEAST, _STEPS = 200_000, 400
"""Pairs of boxes that are looked at, and so many more for each rule; where it would take more, the rest stays."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A rule as it is written, with what Calico's limits allow, and the rules that it says all or a part of."""

    rule: Rule
    of: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A rule that decides nothing, and the rules that decide its packets as it would; none where it has no packets."""

    rule: Rule
    by: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A direction as it is written."""

    written: tuple[Merged, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(merged.rule for merged in self.written)


def plan(rules: Iterable[Rule], *, leave_out: bool = True) -> Plan:
    """The fewest rules that were found, never more than the rules are when long lists are split.

    leave_out: rules that decide nothing are looked for, which takes half of the time.
    """
    written: list[Merged] = []
    left_out: list[LeftOut] = []
    for is_log, found in groupby(rules, key=lambda r: r.action is Action.LOG):
        run = tuple(found)
        part = Plan(tuple(_as_they_are(run)), ()) if is_log else _planned(run, leave_out=leave_out)
        written += part.written
        left_out += part.left_out
    return Plan(tuple(written), tuple(left_out))


def _as_they_are(run: Iterable[Rule]) -> Iterator[Merged]:
    return (Merged(part, (rule,)) for rule in run for part in parts(rule))


def _planned(run: Sequence[Rule], *, leave_out: bool) -> Plan:
    """A run without Logs; as it is where its labels, or its packets, can't be told apart in bounds."""
    try:
        space = Space(run)
        covers = needless(space, run, Budget(_AT_LEAST + _STEPS * len(run))) if leave_out else {}
        covers = dict(covers)
        if len(covers) == len(run):
            del covers[0]  # Logs around it must not become neighbours
        kept = [n for n in range(len(run)) if n not in covers]
        groups = _Merger([run[n] for n in kept], space).groups()
    except UndecidedError:
        return Plan(tuple(_as_they_are(run)), ())
    written = tuple(
        Merged(part, _said_by(part, [run[kept[m]] for m in members], space))
        for rule, members in groups
        for part in parts(rule)
    )
    left_out = tuple(LeftOut(run[n], tuple(run[m] for m in by)) for n, by in covers.items())
    return Plan(written, left_out)


def _said_by(part: Rule, rules: Sequence[Rule], space: Space) -> tuple[Rule, ...]:
    """Those of a group's rules that a part of it says: of one that was split, not all."""
    boxes = space.boxes(part)  # what is united begins and ends where the rules do
    found = tuple(r for r in rules if any(meet(a, b) is not None for a in boxes for b in space.boxes(r)))
    return found or tuple(rules)


_FIELDS = (("source", "nets"), ("destination", "nets"), ("source", "ports"), ("destination", "ports"))
"""Where members are alternatives: what may be united."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Rules, by their positions: what all of them say alike, and of each field the number of what they say together."""

    alike: int
    values: tuple[int, ...]
    members: tuple[int, ...]

    def kind(self, field: int) -> tuple[int, ...]:
        """The same for all groups that differ in this field alone."""
        return (self.alike, *self.values[:field], *self.values[field + 1 :])


class _Merger:
    """A run's rules, united again and again; the order of rules that meet and have different actions stays."""

    def __init__(self, rules: Sequence[Rule], space: Space) -> None:
        self.rules = rules
        self.before = _meeting(rules, space)
        self.behind: list[list[int]] = [[] for _ in rules]
        for n, found in enumerate(self.before):
            for m in found:
                self.behind[m].append(n)
        self.alike: _Numbers = _Numbers()
        self.said = tuple(_Numbers() for _ in _FIELDS)

    def groups(self) -> list[tuple[Rule, tuple[int, ...]]]:
        """The rules that are left, each with the positions of those that it says."""
        found = [self._alone(n, rule) for n, rule in enumerate(self.rules)]
        length = -1
        while length != len(found):
            length = len(found)
            for field in self._fields(found):
                found = self._united(found, field, self.before)
                found = self._united(found[::-1], field, self.behind)[::-1]
        return [(self._rule(group), tuple(sorted(group.members))) for group in found]

    def _alone(self, n: int, rule: Rule) -> _Group:
        m, sides = rule.match, (rule.match.source, rule.match.destination)
        rest = (rule.action, m.ip_version, m.protocol, m.not_protocol, m.icmp, m.not_icmp)
        negations = tuple((s.not_nets, s.not_ports, s.selector, s.not_selector) for s in sides)
        values = (nets(m.source.nets), nets(m.destination.nets), ports(m.source.ports), ports(m.destination.ports))
        numbers = tuple(said.of(value) for said, value in zip(self.said, values, strict=True))
        return _Group(self.alike.of((rest, negations)), numbers, (n,))

    def _fields(self, groups: Sequence[_Group]) -> list[int]:
        """Those first of which the groups would be the fewest: what a list goes through most is united first."""
        return sorted(range(len(_FIELDS)), key=lambda field: len({group.kind(field) for group in groups}))

    def _united(self, groups: Iterable[_Group], field: int, meeting: Sequence[Sequence[int]]) -> list[_Group]:
        """Each group with the first of its kind that stands behind all that it meets; the order is that of the first.

        meeting: for each rule those of the other action that it meets and that have to stay before it.
        """
        out: list[list[_Group]] = []
        place = [-1] * len(self.rules)
        kinds: dict[tuple[int, ...], list[int]] = {}
        nothing = self.said[field].of(())
        for group in groups:
            at = len(out)
            if group.values[field] != nothing:
                found = kinds.setdefault(group.kind(field), [])
                last = max((place[m] for n in group.members for m in meeting[n]), default=-1) if found else -1
                free = bisect_right(found, last)
                if free < len(found):
                    at = found[free]
                else:
                    found.append(at)
            if at == len(out):
                out.append([])
            out[at].append(group)
            for n in group.members:
                place[n] = at
        return [self._one(found, field) for found in out]

    def _one(self, groups: Sequence[_Group], field: int) -> _Group:
        """All of these groups, which differ in the field alone."""
        first = groups[0]
        if len(groups) == 1:
            return first
        said = self.said[field]
        each = (said.what[number] for number in dict.fromkeys(group.values[field] for group in groups))
        together = said.of(_JOINED[_FIELDS[field][1]](chain.from_iterable(each)))
        members = tuple(chain.from_iterable(group.members for group in groups))
        return _Group(first.alike, (*first.values[:field], together, *first.values[field + 1 :]), members)

    def _rule(self, group: _Group) -> Rule:
        first = self.rules[min(group.members)]
        if len(group.members) == 1:
            return first
        sides: dict[str, dict[str, Any]] = {"source": {}, "destination": {}}
        for (side, field), said, number in zip(_FIELDS, self.said, group.values, strict=True):
            sides[side][field] = said.what[number]
        m = first.match
        source, destination = replace(m.source, **sides["source"]), replace(m.destination, **sides["destination"])
        return replace(first, match=replace(m, source=source, destination=destination))


class _Numbers:
    """Values in, a number for each out: equal ones have the same."""

    def __init__(self) -> None:
        self.what: list[Any] = []
        self._number: dict[object, int] = {}

    def of(self, value: object) -> int:
        number = self._number.setdefault(value, len(self.what))
        if number == len(self.what):
            self.what.append(value)
        return number


def _meeting(rules: Sequence[Rule], space: Space) -> list[list[int]]:
    """For each rule the earlier ones of the other action that match one of its packets. UndecidedError: too many."""
    each = [space.boxes(rule) for rule in rules]
    boxes = [box for found in each for box in found]
    owner = [n for n, found in enumerate(each) for _ in found]
    budget = Budget(_AT_LEAST + _STEPS * len(rules))
    index = Index(boxes)
    allowing = sum(1 << i for i, n in enumerate(owner) if rules[n].action is Action.ALLOW)
    meeting: list[list[int]] = []
    first = 0
    for n, own in enumerate(each):
        other = ~allowing if rules[n].action is Action.ALLOW else allowing
        near = 0
        for box in own:
            near |= index.near(box)
        found: list[int] = []
        for k in positions(near & other & (1 << first) - 1):
            budget.spend(len(own))
            if found[-1:] != [owner[k]] and any(meet(box, boxes[k]) is not None for box in own):
                found.append(owner[k])
        meeting.append(found)
        first += len(own)
    return meeting


_JOINED: dict[str, Callable[[Iterable[Any]], tuple[object, ...]]] = {"nets": joined_nets, "ports": joined_ports}
