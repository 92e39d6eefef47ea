"""A compiled network in, what a reviewer should know about its rules out: those that decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from calico_rkt.compiler.diagnostics import Diagnostic, warning
from calico_rkt.compiler.ir import Action, Match, Network, Rule
from calico_rkt.compiler.packets.budget import QUESTION, Budget, UndecidedError
from calico_rkt.compiler.packets.cover import another_fate, pieces_left
from calico_rkt.compiler.packets.index import Index, positions
from calico_rkt.compiler.packets.opening import opens_nothing
from calico_rkt.compiler.packets.space import Box, Space

Statement = tuple[Rule, ...]
"""The rules that one line of a file became; they share span and action."""


def lint(network: Network, network_ids: frozenset[str], files: frozenset[str]) -> Iterator[Diagnostic]:
    """Findings about each direction's rules that stand in one of these files; a built-in default has none.

    network_ids are those of the workspace: an endpoint carries the label of one of them at most.
    """
    for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
        try:
            yield from _Direction(direction, rules, network_ids).findings(files)
        except UndecidedError as e:
            message = f"{direction} of {network.name!r} is not analysed: {e}"
            yield warning("CR805", message, rules[0].span, hint="nothing is known about its rules; make them simpler")


class _Direction:
    """One list of rules as boxes; owner[i] is the statement of box i."""

    def __init__(self, name: str, rules: Sequence[Rule], network_ids: frozenset[str]) -> None:
        self.name = name
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
        self.deciding = sum(1 << i for i, n in enumerate(self.owner) if self._action(n) is not Action.LOG)

    def _action(self, statement: int) -> Action:
        return self.statements[statement][0].action

    def findings(self, files: frozenset[str]) -> Iterator[Diagnostic]:
        """What is said of one rule counts as done for the next, so that all of it can be taken out at once."""
        dead = [self._asked(n, self._dead) for n in range(len(self.statements))]
        for n, statement in enumerate(self.statements):
            span = statement[0].span
            if span is None or span.path not in files:
                continue
            found = dead[n] or self._asked(n, self._idle)
            if found is not None:
                yield found
        if self.unasked:
            span = self.statements[min(self.unasked)][0].span
            count = len(self.unasked)
            message = f"given up: {count} rules of {self.name}, from this one on, are not analysed in full"
            yield warning(
                "CR805", message, span, hint="nothing is claimed about them; make the rules before them simpler"
            )

    def _asked(self, n: int, question: Callable[[int], Diagnostic | None]) -> Diagnostic | None:
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
            message = f"undecided whether this rule decides anything: {e}"
            return warning("CR805", message, self.statements[n][0].span, hint=hint)

    def _dead(self, n: int) -> Diagnostic | None:
        span = self.statements[n][0].span
        if self.first[n] == self.first[n + 1]:
            return warning("CR803", "no packet can match this rule", span, hint="its fields contradict each other")
        if all(why := [opens_nothing(r.match) for r in self.statements[n]]):
            hint = "take it out; what follows a flow needs no rule"
            return warning("CR807", f"this rule decides nothing: {why[0]}", span, hint=hint)
        used: set[int] = set()
        if next(self._left(n, Budget(QUESTION, self.budget), used), None) is not None:
            return None
        self._take_out(n)
        message = f"this rule decides nothing: all its packets are decided before, {self._lines(used)}"
        return warning("CR801", message, span, hint="take it out, or move it up")

    def _idle(self, n: int) -> Diagnostic | None:
        action, span = self._action(n), self.statements[n][0].span
        if action is Action.LOG:
            return None
        budget = Budget(QUESTION, self.budget)
        if self._redundant(n, self._left(n, budget, set()), budget):
            self._take_out(n)
            what = "let through" if action is Action.ALLOW else "denied"
            message = f"this rule changes nothing: without it, all its packets are {what}, too"
            return warning("CR802", message, span, hint="take it out")
        if self.name == "ingress" and action is Action.ALLOW and _is_all(self.statements[n]):
            return warning("CR804", "this rule lets in everything, from everywhere", span, hint="name who may come in")
        return None

    def _take_out(self, n: int) -> None:
        self.deciding &= ~((1 << self.first[n + 1]) - (1 << self.first[n]))

    def _left(self, n: int, budget: Budget, used: set[int]) -> Iterator[Box]:
        start = self.first[n]
        for box in self.boxes[start : self.first[n + 1]]:
            near = self.index.near(box) & self.deciding & ((1 << start) - 1)
            yield from pieces_left(box, list(positions(near)), self.boxes, budget, used)

    def _redundant(self, n: int, left: Iterable[Box], budget: Budget) -> bool:
        wanted = self._action(n) is Action.ALLOW
        for piece in left:
            later = list(positions(self.index.near(piece) & self.deciding & (-1 << self.first[n + 1])))
            if another_fate(piece, wanted, later, self.boxes, self.allows, budget) is not None:
                return False
        return True

    def _lines(self, used: set[int]) -> str:
        spans = [self.statements[n][0].span for n in sorted({self.owner[i] for i in used})]
        places = [f"{s.path}:{s.line}" if s else "a rule without a line" for s in spans]
        return ("by " if len(places) == 1 else "together by ") + ", ".join(places)


def _is_all(statement: Statement) -> bool:
    """Whether a rule of it has no condition."""
    return any(r.match == Match() for r in statement)
