"""Claims about chains that a network's rules lead to by ports, as attest reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side
from calico_rkt.plugin.attest.chains import compared
from calico_rkt.plugin.attest.ruleset import Chain, KernelRule

TABLE = ("inet", "calico_rkt")
DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}
DROP = ({"drop": None},)


def vmap(leads):
    return ({"vmap": {"key": DPORT, "data": {"set": [[port, {"goto": {"target": to}}] for port, to in leads]}}},)


def port(number, verdict):
    return ({"match": {"op": "==", "left": DPORT, "right": number}}, {verdict: None})


def chain(name, *rules):
    return Chain(TABLE, name, rules=tuple(KernelRule(TABLE, name, n, rule) for n, rule in enumerate(rules, 1)))


def rule(action, number):
    return Rule(action, Match(protocol=6, destination=Side(ports=(PortRange(number, number),))))


WANTED = (rule(Action.DENY, 22), rule(Action.ALLOW, 80))
ROOT = chain("in-web", vmap([(22, "in-web/1"), (80, "in-web/2")]), DROP)
FIRST, SECOND = chain("in-web/1", port(22, "drop"), DROP), chain("in-web/2", port(80, "return"), DROP)


def asked(*chains):
    found = {c.name: c for c in chains}
    return compared(found["in-web"], WANTED, [], found)


def test_ports_that_lead_to_chains_say_what_these_say():
    assert asked(ROOT, FIRST, SECOND).equal
    assert not asked(ROOT, chain("in-web/1", port(22, "return"), DROP), SECOND).equal


@pytest.mark.parametrize("verdict", ["return", "accept", "drop"])
def test_a_chain_that_leads_further_is_never_equal(verdict):
    """An `accept` there skips the other end's chain, whatever this one says of the port."""
    further = chain("further", ({verdict: None},))
    first = chain("in-web/1", vmap([(22, "further")]), port(22, "drop"), DROP)
    second = chain("in-web/2", vmap([(80, "further")]), port(80, "return"), DROP)
    assert not asked(ROOT, first, SECOND, further).equal
    assert not asked(ROOT, FIRST, second, further).equal


REST = chain("in-web/3", port(80, "return"), DROP)


def to(name):
    return ({"goto": {"target": name}},)


def test_what_a_chain_leaves_may_be_led_to_one_more_and_no_further():
    second = chain("in-web/2", to("in-web/3"), DROP)
    assert asked(ROOT, FIRST, second, REST).equal
    assert not asked(ROOT, FIRST, second, chain("in-web/3", port(80, "drop"), DROP)).equal
    assert not asked(ROOT, FIRST, second, chain("in-web/3", to("in-web/4"), DROP), replace(REST, name="in-web/4")).equal
    assert not asked(ROOT, FIRST, second, chain("in-web/3", ({"accept": None},))).equal


def test_what_the_network_s_own_chain_leaves_may_be_led_on():
    root = chain("in-web", vmap([(22, "in-web/1")]), to("in-web/3"), DROP)
    assert asked(root, FIRST, REST).equal
    assert not asked(root, FIRST, chain("in-web/3", port(80, "return"))).equal
