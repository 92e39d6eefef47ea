"""Every port that a rule is about is in one class, with all rules about it; a class is no larger than it has to be."""

from __future__ import annotations

import doctest
import random

from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side
from calico_rkt.compiler.targets.nftables import leads, port_classes


def about(*ranges):
    return Rule(Action.ALLOW, Match(protocol=6, destination=Side(ports=tuple(PortRange(*r) for r in ranges))))


def drawn(r):
    lo = r.randint(0, 90)
    return lo, lo + r.randint(0, 9)


def test_the_examples_hold():
    for module in (leads, port_classes):
        failed, tried = doctest.testmod(module)
        assert (failed, tried > 0) == (0, True)


def test_a_port_has_one_class_and_all_its_rules():
    r = random.Random(1)
    for most in (1, 3, 8):
        rules = [about(*(drawn(r) for _ in range(r.randint(1, 3)))) for _ in range(30)]
        found = port_classes.port_classes(rules, most)
        for port in range(102):
            mine = [
                n for n, rule in enumerate(rules) if any(p.lo <= port <= p.hi for p in rule.match.destination.ports)
            ]
            classes = [c for c in found if any(lo <= port <= hi for lo, hi in c.ports)]
            assert len(classes) == bool(mine)
            assert not classes or set(mine) <= set(classes[0].rules)
        assert all(len(c.rules) <= most or _is_one(c, rules) for c in found)


def _is_one(found, rules):
    """Each of its ports is in all of its rules: it could not be smaller."""
    return all(
        any(p.lo <= lo and hi <= p.hi for p in rules[n].match.destination.ports)
        for lo, hi in found.ports
        for n in found.rules
    )
