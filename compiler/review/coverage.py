"""The outcomes of tests in, the rules that none of them decides out."""

from __future__ import annotations

from collections.abc import Iterable

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.review.expect import Outcome
from calico_rkt.compiler.review.snapshot import World


def untested(world: World, outcomes: Iterable[Outcome]) -> tuple[Rule, ...]:
    """Rules of this workspace's files that decided no packet of any test; of a line that became several, one.

    A Log decides nothing, and the built-in default rules are not the workspace's to test.
    """
    decided = {rule.span for o in outcomes for rule in o.deciders}
    paths = {f.path for f in world.files}
    found: dict[Span, Rule] = {}
    for network in world.networks.values():
        for rule in (*network.ingress, *network.egress):
            if rule.span is None or rule.span.path not in paths or rule.action is Action.LOG:
                continue
            if rule.span not in decided:
                found.setdefault(rule.span, rule)
    return tuple(found.values())
