"""How a list is made shorter: what becomes one rule, what never does, what is left out."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

import pytest

from calico_rkt.compiler.ir.canonical import MOST_NETS, MOST_PORTS
from calico_rkt.compiler.ir.model import Action, Icmp, Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.targets.calico_v3.plan import plan


def rule(action, net=None, port=None, *, to=None, protocol=6, label=None):
    version = ip_network(net or to).version if net or to else None
    return Rule(
        Action(action),
        Match(
            version,
            protocol,
            source=Side(nets=(ip_network(net),) if net else (), selector=has(label) if label else None),
            destination=Side(
                nets=(ip_network(to),) if to else (), ports=(PortRange(port, port),) if port is not None else ()
            ),
        ),
    )


def shape(found):
    """Each rule as action, sources, destinations, ports."""
    return [
        (
            r.action.value,
            " ".join(map(str, r.match.source.nets)),
            " ".join(map(str, r.match.destination.nets)),
            " ".join(f"{p.lo}" if p.lo == p.hi else f"{p.lo}:{p.hi}" for p in r.match.destination.ports),
        )
        for r in found
    ]


def written(*rules):
    return shape(plan(rules).rules)


A, B, C = "10.0.0.0/25", "10.0.0.128/25", "10.1.0.0/24"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("Allow", A, 80), rule("Allow", C, 80)], [("Allow", f"{A} {C}", "", "80")]),
        ([rule("Allow", A, 80), rule("Allow", B, 80)], [("Allow", "10.0.0.0/24", "", "80")]),
        ([rule("Allow", A, 80), rule("Allow", A, 81)], [("Allow", A, "", "80:81")]),
        ([rule("Deny", A, 80, to=A), rule("Deny", A, 80, to=C)], [("Deny", A, f"{A} {C}", "80")]),
        (
            [rule("Allow", net, port) for net in (A, C) for port in (80, 443)],
            [("Allow", f"{A} {C}", "", "80 443")],
        ),
        ([rule("Allow", A, 80), rule("Allow", C, 81)], [("Allow", A, "", "80"), ("Allow", C, "", "81")]),
        ([rule("Allow", A, 80), rule("Deny", C, 80)], [("Allow", A, "", "80"), ("Deny", C, "", "80")]),
    ],
    ids=["nets", "neighbours", "ports", "destinations", "nets and ports", "two fields differ", "two actions"],
)
def test_rules_of_one_action_that_differ_in_one_field_are_one(rules, expected):
    assert written(*rules) == expected


@pytest.mark.parametrize(
    "other",
    [
        rule("Allow", C, 80, protocol=17),
        rule("Allow", C, 80, label="a"),
        Rule(Action.ALLOW, Match(4, 6, source=Side(nets=(ip_network(C),), not_nets=(ip_network("10.1.0.9/32"),)))),
    ],
    ids=["protocol", "selector", "a negation"],
)
def test_what_is_no_list_of_alternatives_has_to_be_the_same(other):
    assert len(written(rule("Allow", A, 80), other)) == 2


def test_icmp_types_are_one_a_rule():
    types = [Rule(Action.ALLOW, Match(4, 1, icmp=Icmp(n, 0))) for n in (8, 13)]
    assert plan(types).rules == tuple(types)


def test_a_rule_passes_one_that_it_does_not_meet():
    assert written(rule("Allow", A, 80), rule("Deny", C, 80), rule("Allow", B, 80)) == [
        ("Allow", "10.0.0.0/24", "", "80"),
        ("Deny", C, "", "80"),
    ]


def test_where_the_later_one_can_not_pass_the_earlier_one_may():
    narrow = rule("Deny", "10.0.0.129/32", 80)
    assert written(rule("Allow", A, 80), narrow, rule("Allow", B, 80)) == [
        ("Deny", "10.0.0.129/32", "", "80"),
        ("Allow", "10.0.0.0/24", "", "80"),
    ]


def test_a_rule_passes_none_of_another_action_that_meets_it():
    rules = [
        rule("Allow", "10.0.0.1/32", 80),
        rule("Deny", A, 80),
        rule("Allow", "10.0.0.0/24", 80),
        rule("Deny", "10.0.0.0/16", 80),
    ]
    assert plan(rules).rules == tuple(rules)


def test_nothing_passes_a_log():
    log = Rule(Action.LOG)
    rules = (rule("Allow", A, 80), log, rule("Allow", B, 80), log, log, rule("Allow", C, 80), rule("Allow", C, 81))
    assert [r.action.value for r in plan(rules).rules] == ["Allow", "Log", "Allow", "Log", "Log", "Allow"]


def test_what_an_earlier_run_decides_is_asked_in_its_run_alone():
    """A Log between two runs is compared with what stands right before it, run by run."""
    rules = (rule("Deny", A, 80), Rule(Action.LOG), rule("Deny", A, 80))
    assert plan(rules).rules == rules


def test_logs_do_not_become_neighbours():
    nobody = Rule(Action.ALLOW, Match(source=Side(selector=has("a"), not_selector=has("a"))))
    rules = (Rule(Action.LOG), nobody, nobody, Rule(Action.LOG, Match(protocol=6)))
    assert plan(rules).rules == (rules[0], nobody, rules[3])


def test_no_field_is_longer_than_calico_takes():
    nets = [IPv4Network((0x0A000000 + 512 * n, 24)) for n in range(MOST_NETS + 1)]
    ports = range(1, 2 * (MOST_PORTS + 1), 2)
    found = plan([rule("Allow", str(net), port) for net in nets for port in ports])
    assert len(found.written) == 4
    assert max(len(r.match.source.nets) for r in found.rules) == MOST_NETS
    assert max(len(r.match.destination.ports) for r in found.rules) == MOST_PORTS
    said = sorted((str(r.match.source.nets[0]), r.match.destination.ports[0].lo) for m in found.written for r in m.of)
    assert said == sorted((str(net), port) for net in nets for port in ports), "each rule is a part of one of the four"


def test_a_list_that_is_too_hard_to_think_about_stays_as_it_is():
    """More label sets than an analysis tells apart: nothing is known of which rules meet."""
    rules = tuple(rule("Allow", A, 80 + n % 2, label=f"l{n}") for n in range(20))
    assert plan(rules).rules == rules


def test_a_rule_says_which_rules_it_says_and_which_are_left_out():
    first, second, dead, narrow, wide = (
        rule("Allow", A, 80),
        rule("Allow", B, 80),
        rule("Deny", "10.0.0.0/24", 80),
        rule("Allow", C, 80),
        rule("Allow", C),
    )
    found = plan([first, second, dead, narrow, wide])
    assert [m.of for m in found.written] == [(first, second), (wide,)]
    assert [(out.rule, out.by) for out in found.left_out] == [(dead, (first, second)), (narrow, (wide,))]
