"""A Network in; the same as it is published, in the form that Calico takes, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, raise_errors
from calico_rkt.compiler.ir.canonical import MERGED, MOST_RULES, digest
from calico_rkt.compiler.ir.model import Network, Rule
from calico_rkt.compiler.targets.calico_v3.parts import count, split
from calico_rkt.compiler.targets.calico_v3.write import check_calico_v3, check_rules, too_many

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.calico_v3.plan import Plan


def in_form(network: Network) -> Network:
    """The network itself where Calico takes its rules line by line; else with each list that is too long merged.

    The digest of a published profile is that of its network in this form. Raises CompileError where a list can't be
    merged far enough, and where Calico v3 has no words for a rule of a network with such a list, by its place in the
    files.
    """
    return _formed(network, merged)


def check_in_form(network: Network) -> None:
    """Raise what writing the network in its form would raise."""
    try:
        formed = _formed(network, _united)
    except CompileError:
        formed = in_form(network)
    if formed is network:
        check_calico_v3(network)


def digest_in_form(network: Network) -> str | None:
    """The digest that the network is published under; None where it can't be published."""
    try:
        return digest(in_form(network))
    except CompileError:
        return None


def merged(rules: Sequence[Rule]) -> Plan | None:
    """How a direction is merged; None where Calico takes it line by line."""
    if not _too_long(rules):
        return None
    found = _plan(rules, leave_out=True)
    return found if len(found.written) <= MOST_RULES else min(found, _united(rules), key=lambda p: len(p.written))


def _united(rules: Sequence[Rule]) -> Plan:
    """The same with every rule in it: half of the work, and mostly short enough."""
    return _plan(rules, leave_out=False)


def _plan(rules: Sequence[Rule], *, leave_out: bool) -> Plan:
    from calico_rkt.compiler.targets.calico_v3.plan import plan  # few lists are so long, and an ADD compiles, too

    return plan(rules, leave_out=leave_out)


def _formed(network: Network, by: Callable[[Sequence[Rule]], Plan | None]) -> Network:
    if not (_too_long(network.ingress) or _too_long(network.egress)):
        return network
    check_rules(network)
    written: dict[str, tuple[Rule, ...]] = {}
    problems: list[Diagnostic] = []
    for name in ("ingress", "egress"):
        rules: tuple[Rule, ...] = getattr(network, name)
        found = by(rules) if _too_long(rules) else None
        # Split, so that the text has them as they stand here: there is one way to read it.
        written[name] = tuple(split(rules)) if found is None else found.rules
        problems += too_many(name, rules, written[name], merged=found is not None)
    raise_errors(problems)
    return replace(network, ingress=written["ingress"], egress=written["egress"], form=MERGED)


def _too_long(rules: Sequence[Rule]) -> bool:
    """Whether it is more rules than Calico takes in a direction, counted as they are written."""
    return len(rules) > MOST_RULES or sum(map(count, rules)) > MOST_RULES
