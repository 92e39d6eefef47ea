"""Which rules decide nothing, whatever labels an end has, and what covers them."""

from ipaddress import ip_network

import pytest

from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.needless import needless
from calico_rkt.compiler.packets.space import Space


def rule(action, net=None, port=None, selector=None):
    source = Side(
        nets=(ip_network(net),) if net else (), selector=parse_selector(selector) if selector is not None else None
    )
    destination = Side(ports=(PortRange(port, port),) if port else ())
    return Rule(Action(action), Match(4 if net else None, 6 if port else None, source=source, destination=destination))


def found(*rules):
    return dict(needless(Space(rules), rules, Budget()))


WIDE, LOW, HIGH = "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"


@pytest.mark.parametrize(
    ("rules", "covers"),
    [
        ([rule("Allow", WIDE), rule("Deny", LOW)], {1: (0,)}),
        ([rule("Allow", LOW), rule("Deny", HIGH), rule("Allow", WIDE)], {2: (0, 1)}),
        ([rule("Allow", LOW), rule("Allow", WIDE)], {0: (1,)}),
        ([rule("Deny", LOW), rule("Deny", WIDE)], {0: (1,)}),
        ([rule("Allow", LOW), rule("Deny", LOW), rule("Allow", WIDE)], {0: (2,), 1: (2,)}),
        ([rule("Allow", LOW, 80), rule("Deny", WIDE), rule("Allow")], {}),
        ([rule("Deny", LOW)], {}),
        ([rule("Allow", selector="has(a) && !has(a)")], {0: ()}),
    ],
    ids=[
        "before",
        "two before",
        "behind",
        "denies",
        "what covers is covered",
        "another between",
        "the last denies",
        "nobody",
    ],
)
def test_what_decides_nothing_is_found_with_what_covers_it(rules, covers):
    assert found(*rules) == covers


def test_what_covers_is_never_left_out_itself():
    rules = [rule("Allow", LOW), rule("Allow", LOW), rule("Allow", WIDE), rule("Allow")]
    assert found(*rules) == {0: (3,), 1: (3,), 2: (3,)}


@pytest.mark.parametrize(
    ("first", "second", "is_needless"),
    [
        ("has(a)", "has(a) && has(b)", True),
        ("has(a)", "a == 'x'", True),
        ("has(a)", "has(b)", False),
        ("a == 'x'", "a in {'x', 'y'}", False),
        ("has(a)", "!has(a)", False),
        ("all()", "!has(a)", True),
    ],
)
def test_an_end_may_have_any_labels(first, second, is_needless):
    """Two networks' labels, too, though no endpoint of a workspace has both."""
    assert (1 in found(rule("Allow", selector=first), rule("Deny", selector=second))) is is_needless


def test_a_label_for_two_networks_is_one_that_an_endpoint_of_a_cluster_may_have():
    both = rule("Deny", selector="has(a) && has(b)")
    assert found(both, rule("Allow", selector="has(a)")) == {}


def test_what_can_not_be_decided_in_bounds_is_kept():
    rules = [rule("Allow", WIDE), rule("Deny", LOW)]
    assert dict(needless(Space(rules), rules, Budget(0))) == {}
