import doctest
import importlib
from ipaddress import ip_network

import pytest

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.definitions import Definition, Definitions
from calico_rkt.compiler.ir.model import ICMP, Action, Match, NameRef, Network, PortRange, Rule, Side
from calico_rkt.compiler.passes import PASSES, run_passes

HERE = Span("names.yaml", 1, 1, 2)
OFFICE = (ip_network("192.0.2.0/24"), ip_network("2001:db8:1::/48"))
NAMES = Definitions((Definition("office", OFFICE, HERE),), (Definition("web", (PortRange(80, 80),), HERE),))


def run(*rules):
    network, found = run_passes(Network("web", "web", ingress=rules), NAMES)
    return network.ingress, [d.code for d in found]


def allow(**match):
    return Rule(Action.ALLOW, Match(**match), HERE)


@pytest.mark.parametrize("name", [p.__name__ for p in PASSES])
def test_every_pass_shows_what_it_does_in_a_doctest_that_holds(name):
    module = importlib.import_module(f"calico_rkt.compiler.passes.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_a_rule_keeps_its_place_through_every_pass():
    rules, _ = run(allow(source=Side(nets=(NameRef("office"),))))
    assert [r.span for r in rules] == [HERE, HERE]


def test_the_parts_of_a_split_rule_stand_where_the_rule_stood():
    rules, _ = run(
        Rule(Action.LOG), allow(source=Side(nets=OFFICE)), Rule(Action.DENY), allow(protocol=ICMP), Rule(Action.LOG)
    )
    assert [(r.action.value, r.match.ip_version) for r in rules] == [
        ("Log", None),
        ("Allow", 4),
        ("Allow", 6),
        ("Deny", None),
        ("Allow", 4),
        ("Log", None),
    ]


def test_a_name_that_nothing_defines_takes_its_rule_out_and_is_an_error():
    rules, codes = run(allow(source=Side(nets=(NameRef("ofice", HERE),))), Rule(Action.DENY))
    assert codes == ["CR401"]
    assert [r.action for r in rules] == [Action.DENY]


def test_a_dual_stack_name_beside_one_family_is_about_that_family():
    rules, codes = run(allow(source=Side(nets=OFFICE), destination=Side(nets=OFFICE[:1])))
    assert codes == []
    assert [(r.match.ip_version, r.match.source.nets) for r in rules] == [(4, OFFICE[:1])]


def test_not_nets_of_one_family_warn_unless_the_rule_says_the_family():
    assert run(allow(source=Side(not_nets=OFFICE[:1])))[1] == ["CR404"]
    assert run(allow(ip_version=4, source=Side(not_nets=OFFICE[:1])))[1] == []
    assert run(allow(source=Side(not_nets=OFFICE)))[1] == []


def test_not_nets_never_take_away_a_family_that_the_rule_names():
    rules, codes = run(allow(source=Side(nets=OFFICE), destination=Side(not_nets=OFFICE[:1])))
    assert (rules, codes) == ((), ["CR405"])


def test_ports_that_touch_become_one_range_and_others_stay_apart():
    ports = (PortRange(90, 95), PortRange(80, 80), PortRange(81, 89), PortRange(92, 93), PortRange(97, 97))
    (rule,), _ = run(allow(protocol=6, destination=Side(ports=ports)))
    assert rule.match.destination.ports == (PortRange(80, 95), PortRange(97, 97))


def test_equal_rules_are_never_joined():
    rules, _ = run(Rule(Action.LOG), Rule(Action.LOG), allow(protocol=6), allow(protocol=6))
    assert len(rules) == 4


def test_a_passed_network_passes_again_unchanged():
    once, _ = run(allow(source=Side(nets=OFFICE, networks=(NameRef("db"), NameRef("web")))))
    assert run(*once)[0] == once
