"""A Network in; the same as it is published, in the form that Calico takes, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import MERGED, MOST_RULES
from calico_rkt.compiler.ir.model import Network, Rule
from calico_rkt.compiler.targets.calico_v3.parts import count, split
from calico_rkt.compiler.targets.calico_v3.write import check_calico_v3, check_rules

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.calico_v3.plan import Plan


def in_form(network: Network) -> Network:
    """The network itself where Calico takes its rules line by line; else with each list that is too long merged.

    A list that can't be merged far enough stays as it is. The digest of a published profile is that of its network in
    this form. Raises CompileError where Calico v3 has no words for a rule of such a list, by its place in the files.
    """
    return _formed(network, merged)


def check_in_form(network: Network) -> None:
    """Raise what write_calico_v3() would raise of the network in its form; made for who wants no text."""
    try:
        check_calico_v3(_formed(network, _united))
    except CompileError:
        check_calico_v3(in_form(network))


def merged(rules: Sequence[Rule]) -> Plan | None:
    """How a direction is merged; None where Calico takes it line by line, or does not take it merged either."""
    return _fitting(rules, leave_out=True)


def _united(rules: Sequence[Rule]) -> Plan | None:
    """The same with every rule in it: that takes half the time, and is mostly short enough."""
    return _fitting(rules, leave_out=False)


def _fitting(rules: Sequence[Rule], *, leave_out: bool) -> Plan | None:
    if not _too_long(rules):
        return None
    from calico_rkt.compiler.targets.calico_v3.plan import plan  # few lists are so long, and an ADD compiles, too

    found = plan(rules, leave_out=leave_out)
    return None if _too_long(found.rules) else found


def _formed(network: Network, by: Callable[[Sequence[Rule]], Plan | None]) -> Network:
    if not (_too_long(network.ingress) or _too_long(network.egress)):
        return network
    check_rules(network)
    ingress, egress = by(network.ingress), by(network.egress)
    if ingress is None and egress is None:
        return network
    return replace(
        network,
        # Split, so that the text has them as they stand here: there is one way to read it.
        ingress=tuple(split(network.ingress)) if ingress is None else ingress.rules,
        egress=tuple(split(network.egress)) if egress is None else egress.rules,
        form=MERGED,
    )


def _too_long(rules: Sequence[Rule]) -> bool:
    """Whether it is more rules than Calico takes in a direction, counted as they are written."""
    return len(rules) > MOST_RULES or sum(map(count, rules)) > MOST_RULES
