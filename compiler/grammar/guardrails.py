"""The YAML of `guardrails:` in, what a workspace promises out: Expectations of every network."""

from __future__ import annotations

from dataclasses import dataclass

from calico_rkt.compiler.grammar.expectations import WHAT_KEYS, Expectation, parse_expectations
from calico_rkt.compiler.ir.model import Action
from calico_rkt.compiler.text.fields import Field, Problems, fields_of

GUARDRAIL_KEYS = ("name", "from", "to", *WHAT_KEYS, "except", "because")
GUARDRAILS = ("never", "always", "envelope")
"""What a workspace promises: what is never allowed, what always is, and what may change without asking."""


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What one file of a workspace promises; verdicts are DENY, ALLOW and ALLOW."""

    never: tuple[Expectation, ...] = ()
    always: tuple[Expectation, ...] = ()
    envelope: tuple[Expectation, ...] = ()


def parse_guardrails(section: Field, problems: Problems) -> Guardrails:
    """`{never: [...], always: [...], envelope: [...]}`; `from` and `to` may be left out: anybody."""
    found = fields_of(section.value, GUARDRAILS, "guardrails", problems)
    lists = {
        key: parse_expectations(found[key].value, key, GUARDRAIL_KEYS, verdict, problems) if key in found else ()
        for key, verdict in zip(GUARDRAILS, (Action.DENY, Action.ALLOW, Action.ALLOW), strict=True)
    }
    return Guardrails(**lists)
