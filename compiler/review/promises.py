"""Tests and guardrails in, those that do not hold out as diagnostics, each with a packet and who decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import Diagnostic, error, warning
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.ir.model import Action
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.expect import Counterexample, Outcome
from calico_rkt.compiler.review.parties import STRANGERS
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.review.wording import fate_words, verdict_words


@dataclass(frozen=True, slots=True)
class Promise:
    """An expectation and where it stands: a test, or an item of never or always."""

    kind: str
    expectation: Expectation

    @property
    def words(self) -> str:
        return f"{self.kind} {self.expectation.name!r}"


def promises(world: World) -> Iterator[Promise]:
    """All tests of the overrides, then the guardrails; the envelope promises nothing about one revision."""
    for file in world.files:
        if file.override:
            yield from (Promise("test", t) for t in file.override.tests)
    for file in world.files:
        if file.guardrails:
            yield from (Promise("never", e) for e in file.guardrails.never)
            yield from (Promise("always", e) for e in file.guardrails.always)


_STRANGERS = (
    "other endpoints are those of networks that have no conf here, and may have any address: a promise about the "
    "networks here alone names them, network: [a, b]; a rule that means no endpoint says notSelector: all() beside nets"
)


def _why(promise: Promise, found: Counterexample) -> str:
    """Who decides, and who other endpoints are, where one of them is what should have been denied."""
    said = fate_words(found.fate)
    denied = promise.expectation.verdict is Action.DENY
    return f"{said}; {_STRANGERS}" if denied and found.source == STRANGERS.name else said


def problem(promise: Promise, outcome: Outcome) -> Diagnostic | None:
    """What there is to say of one that does not hold; None for one that does."""
    span = promise.expectation.span
    if outcome.failure is not None:
        found = outcome.failure
        wanted = "allowed" if promise.expectation.verdict is Action.ALLOW else "denied"
        because = f" ({promise.expectation.because})" if promise.expectation.because else ""
        message = (
            f"{promise.words} does not hold{because}: {packet_words(found.packet)}, from {found.source} to "
            f"{found.destination}, is {verdict_words(found.fate)}, and should be {wanted}"
        )
        code = "CR810" if promise.kind == "test" else "CR811"
        return error(code, message, span, hint=_why(promise, found))
    if outcome.undecided:
        unread = outcome.undecided.endswith("can't be read")
        hint = "mend that file" if unread else "nothing is claimed about it; make the rules between these ends simpler"
        return error("CR830", f"{promise.words} is not decided: {outcome.undecided}", span, hint=hint)
    if outcome.problem:
        hint = "name networks that have a conf here and packets that open a flow, or take it out"
        what = "is asked in part only" if outcome.in_part else "decides nothing"
        return warning("CR812", f"{promise.words} {what}: {outcome.problem}", span, hint=hint)
    return None
