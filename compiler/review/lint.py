"""A compiled network in, what a reviewer should know about its rules out: those that decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from calico_rkt.compiler.diagnostics import Diagnostic, Span, warning
from calico_rkt.compiler.ir.model import Action, Match, Network, Rule
from calico_rkt.compiler.ir.resolved import nets
from calico_rkt.compiler.packets.budget import QUESTION, Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.opening import opens_nothing
from calico_rkt.compiler.packets.space import Box, Space, meet
from calico_rkt.compiler.packets.subtract import another_fate, first_among, pieces_left

Statement = tuple[Rule, ...]
"""The rules that one line of a file became; they share span and action."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is found of one statement; lines are those that decide before it, in words."""

    code: str
    message: str
    hint: str
    lines: str = ""


def directions(network: Network, network_ids: frozenset[str]) -> Iterator[Direction | Diagnostic]:
    """Both lists of a network; a finding in the place of one that can't be analysed."""
    for name, rules in (("ingress", network.ingress), ("egress", network.egress)):
        try:
            yield Direction(network.name, name, rules, network_ids)
        except UndecidedError as e:
            message = f"{name} of {network.name!r} is not analysed: {e}"
            yield warning("CR805", message, rules[0].span, hint="nothing is known about its rules; make them simpler")


class Direction:
    """One list of rules as boxes; owner[i] is the statement of box i."""

    def __init__(self, network: str, name: str, rules: Sequence[Rule], network_ids: frozenset[str]) -> None:
        self.network, self.name = network, name
        self.statements: list[Statement] = [tuple(group) for _, group in groupby(rules, key=lambda r: r.span or id(r))]
        self.space = Space(rules, network_ids)
        self.boxes: list[Box] = []
        self.owner: list[int] = []
        self.first: list[int] = []
        for n, statement in enumerate(self.statements):
            self.first.append(len(self.boxes))
            for rule in statement:
                found = self.space.boxes(rule)
                self.boxes += found
                self.owner += [n] * len(found)
        self.first.append(len(self.boxes))
        self.index = Index(self.boxes)
        self.budget = Budget()
        self.unasked: set[int] = set()
        self.allows = [self._action(n) is Action.ALLOW for n in self.owner]
        self.logging = sum(1 << i for i, n in enumerate(self.owner) if self._action(n) is Action.LOG)
        self.deciding = (1 << len(self.boxes)) - 1 & ~self.logging

    def _action(self, statement: int) -> Action:
        return self.statements[statement][0].action

    def span(self, n: int) -> Span | None:
        """The place of statement n."""
        return self.statements[n][0].span

    def findings(self, files: frozenset[str], elsewhere: frozenset[Span] = frozenset()) -> Iterator[Diagnostic]:
        """What is said of one rule counts as done for the next, so that all of it can be taken out at once.

        Of the lines of elsewhere nothing is said: who knows all networks that use them decides. What nobody looked at
        is in unfinished(), once all is asked.
        """
        own = [n for n in range(len(self.statements)) if self.span(n) not in elsewhere]
        dead: dict[int, Said] = {}
        for n in own:
            if (found := self.dead(n)) is not None:
                dead[n] = found
                self.take_out(n, found)
        for n in own:
            span = self.span(n)
            if span is None or span.path not in files:
                continue
            found = dead.get(n) or self.idle(n)
            if found is not None:
                self.take_out(n, found)
                yield warning(found.code, found.message + found.lines, span, hint=found.hint)

    def unfinished(self) -> Iterator[Diagnostic]:
        """What of it nobody has looked at, as a finding."""
        if self.unasked:
            count = len(self.unasked)
            message = f"given up: {count} rules of {self.name}, from this one on, are not analysed in full"
            hint = "nothing is claimed about them; make the rules before them simpler"
            yield warning("CR805", message, self.span(min(self.unasked)), hint=hint)

    def dead(self, n: int) -> Said | None:
        """Why statement n decides nothing, whatever stands behind it; None: it may decide something."""
        return self._asked(n, self._dead)

    def idle(self, n: int) -> Said | None:
        """Why statement n, which is not dead, changes nothing or too much."""
        return self._asked(n, self._idle)

    def take_out(self, n: int, found: Said) -> None:
        """As if statement n were not there, from here on, where what is found of it means that."""
        if found.code in ("CR801", "CR802"):
            others = ~((1 << self.first[n + 1]) - (1 << self.first[n]))
            self.deciding &= others
            self.logging &= others

    def _asked(self, n: int, question: Callable[[int], Said | None]) -> Said | None:
        if self.budget.spent:
            self.unasked.add(n)
            return None
        try:
            return question(n)
        except UndecidedError as e:
            if self.budget.spent:
                self.unasked.add(n)
                return None
            hint = "its neighbours overlap in too many ways; nothing is claimed about it"
            return Said("CR805", f"undecided whether this rule decides anything: {e}", hint)

    def _dead(self, n: int) -> Said | None:
        if self.first[n] == self.first[n + 1]:
            return Said("CR803", "no packet can match this rule", "its fields contradict each other")
        if all(why := [opens_nothing(r.match) for r in self.statements[n]]):
            hint = "take it out; what follows a flow needs no rule"
            return Said("CR807", f"this rule decides nothing: {why[0]}", hint)
        used: set[int] = set()
        if next(self._left(n, Budget(QUESTION, self.budget), used), None) is not None:
            return None
        message = "this rule decides nothing: all its packets are decided before, "
        return Said("CR801", message, "take it out, or move it up", self._lines(used))

    def _idle(self, n: int) -> Said | None:
        action = self._action(n)
        if action is Action.LOG:
            return None
        budget = Budget(QUESTION, self.budget)
        if self._redundant(n, self._left(n, budget, set()), budget):
            what = "let through" if action is Action.ALLOW else "denied"
            message = f"this rule changes nothing: without it, all its packets are {what}, too"
            return Said("CR802", message, "take it out")
        if self.name == "ingress" and action is Action.ALLOW and (what := everything(self.statements[n])):
            return Said("CR804", f"this rule lets in {what}, from everywhere", "name who may come in")
        return None

    def _left(self, n: int, budget: Budget, used: set[int]) -> Iterator[Box]:
        start = self.first[n]
        for box in self.boxes[start : self.first[n + 1]]:
            near = self.index.near(box) & self.deciding & ((1 << start) - 1)
            yield from pieces_left(box, list(positions(near)), self.boxes, budget, used)

    def _redundant(self, n: int, left: Iterable[Box], budget: Budget) -> bool:
        wanted = self._action(n) is Action.ALLOW
        for piece in left:
            near = self.index.near(piece) & (-1 << self.first[n + 1])
            later = list(positions(near & self.deciding))
            if another_fate(piece, wanted, later, self.boxes, self.allows, budget) is not None:
                return False
            if self._logged(piece, later, list(positions(near & self.logging)), budget):
                return False
        return True

    def _logged(self, box: Box, later: Sequence[int], logs: Sequence[int], budget: Budget) -> bool:
        """Whether a packet of the box would come by one of logs before one of later decides it."""
        if not logs:
            return False
        for piece, first in first_among(box, later, self.boxes, budget):
            budget.spend(len(logs))
            if any((first is None or i < first) and meet(piece, self.boxes[i]) is not None for i in logs):
                return True
        return False

    def _lines(self, used: set[int]) -> str:
        spans = [self.statements[n][0].span for n in sorted({self.owner[i] for i in used})]
        places = [f"{s.path}:{s.line}" if s else "a rule without a line" for s in spans]
        return ("by " if len(places) == 1 else "together by ") + ", ".join(places)


def everything(statement: Statement) -> str:
    """What a rule without any condition but a family matches, in words; empty where it has another one."""
    families = {r.match.ip_version for r in statement if _unconditioned(r.match)}
    if None in families or {4, 6} <= families:
        return "everything"
    return f"everything of IPv{families.pop()}" if families else ""


def _unconditioned(m: Match) -> bool:
    """Whether only the family is named, perhaps by a net that holds all of its addresses."""
    sides = [
        replace(s, nets=()) if any(n.prefixlen == 0 for n in nets(s.nets)) else s for s in (m.source, m.destination)
    ]
    return replace(m, ip_version=None, source=sides[0], destination=sides[1]) == Match()
