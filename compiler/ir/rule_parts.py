"""Rules in, what their ends speak of out: selectors, and the labels that these name."""

from __future__ import annotations

from collections.abc import Iterable

from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.ir.selector import Selector


def selectors_of(rules: Iterable[Rule]) -> frozenset[Selector]:
    """Every selector of the rules' ends, those that are negated too."""
    ends = (side for rule in rules for side in (rule.match.source, rule.match.destination))
    return frozenset(s for side in ends for s in (side.selector, side.not_selector) if s is not None)


def labels_of(selectors: Iterable[Selector]) -> frozenset[str]:
    """Every label that the selectors name."""
    return frozenset(atom.key for selector in selectors for atom in selector.atoms)
