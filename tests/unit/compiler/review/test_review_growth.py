"""Ceilings of what analyses cost, as calls of functions: at a size, and as it grows. Who needs more says why."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.model import TCP, Action, Match, NameRef, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.matrix import matrix_of
from calico_rkt.compiler.review.snapshot import World
from tests.bench.workloads import Line, hierarchical, rules, scattered
from tests.findings import lint
from tests.growth import calls, growth_in_calls
from tests.worlds import conf, world

LISTS = {"hierarchical": hierarchical, "scattered": scattered}
EVERYTHING = (Rule(Action.ALLOW),)


def one(ingress: tuple[Rule, ...]) -> World:
    return world([conf("web", ip_network("172.16.0.0/24"))], {"web": (ingress, EVERYTHING)})


def many(count: int, first: int = 0) -> World:
    """Networks of ten rules each. first: another list for the first of them."""
    confs = [conf(f"n{i}", ip_network((0xAC100000 + 256 * i, 24))) for i in range(count)]
    lists = {c.name: (rules(scattered(10, seed=i or first)), EVERYTHING) for i, c in enumerate(confs)}
    return world(confs, lists)


def check(make: Callable[[int], list[Line]], size: int) -> None:
    network = Network("web", "web", rules(make(size)), ())
    assert isinstance(list(lint(network, frozenset({"web"}), frozenset({"bench.yaml"}))), list)


def matrix(make: Callable[[int], list[Line]], size: int) -> None:
    assert matrix_of(one(rules(make(size))))


def diff_of_a_line(make: Callable[[int], list[Line]], size: int) -> None:
    before = rules(make(size))
    assert diff_worlds(one(before), one((*before[: size // 2], *before[size // 2 + 1 :])))


CEILINGS = {check: (400, 210_000, 1.15), matrix: (200, 800_000, 1.6), diff_of_a_line: (200, 50_000, 1.15)}
"""Of an analysis: a number of rules, the calls that it may make of them, and by what these may outgrow the rules."""


@pytest.mark.parametrize("make", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("analysis", CEILINGS, ids=lambda analysis: analysis.__name__)
def test_an_analysis_stays_below_its_ceiling_and_grows_with_its_rules(analysis, make):
    size, most, steepest = CEILINGS[analysis]
    assert size * 20 < calls(lambda n: analysis(make, n), size) <= most
    assert growth_in_calls(lambda n: analysis(make, n), size) <= steepest


def test_a_matrix_of_many_networks_costs_little_more_than_its_networks():
    """Its cells are as many as pairs of networks, and those that are alike are decided once."""
    assert calls(lambda n: matrix_of(many(n)), 20) <= 1_200_000
    assert growth_in_calls(lambda n: matrix_of(many(n)), 5) <= 1.8


def test_a_diff_of_many_networks_costs_what_changed():
    assert calls(lambda n: diff_worlds(many(n), many(n, 99)), 20) <= 170_000
    assert growth_in_calls(lambda n: diff_worlds(many(n), many(n, 99)), 5) <= 0.7


def test_a_diff_passes_over_pairs_that_nothing_opened_or_opens():
    def new(count: int) -> None:
        confs = [conf(f"n{i}", ip_network((0xAC100000 + 256 * i, 24))) for i in range(count)]
        default = {c.name: ((Rule(Action.ALLOW, Match(source=Side(selector=has(c.name)))),), EVERYTHING) for c in confs}
        assert diff_worlds(world([], {}), world(confs, default)).changes

    assert calls(new, 20) <= 200_000
    assert growth_in_calls(new, 10) <= 2


def alike(count: int, ingress: tuple[Rule, ...] = EVERYTHING) -> World:
    """Networks that no rule tells apart."""
    confs = [conf(f"n{i}", ip_network((0xAC100000 + 256 * i, 24))) for i in range(count)]
    return world(confs, {c.name: (ingress, EVERYTHING) for c in confs})


def test_pairs_that_no_rule_tells_apart_are_decided_once():
    def everybody(count: int) -> None:
        what = Match(protocol=TCP, destination=Side(ports=(PortRange(23, 23),)))
        ends = ExpectedEnd(word="endpoints")
        closed = alike(count, (Rule(Action.DENY, what), *EVERYTHING))
        assert outcome(closed, Expectation("nobody", ends, ends, Action.DENY, (what,))).verdict

    def opened(count: int) -> None:
        assert diff_worlds(alike(count, ()), alike(count)).changes

    assert calls(lambda n: matrix_of(alike(n)), 80) <= 700_000
    assert calls(opened, 80) <= 600_000
    assert calls(everybody, 80) <= 700_000


def between(one: str, other: str, port: int = 80) -> Expectation:
    ends = (ExpectedEnd(networks=(NameRef(name),)) for name in (one, other))
    what = Match(protocol=TCP, destination=Side(ports=(PortRange(port, port),)))
    return Expectation("it is closed", *ends, Action.DENY, (what,))


def test_a_test_of_each_network_costs_its_own_pair_and_not_all_pairs_of_all_networks():
    def each(count: int) -> None:
        among = many(count)
        for i in range(count):
            assert outcome(among, between(f"n{i}", f"n{(i + 1) % count}")).verdict is not None

    assert growth_in_calls(each, 10) <= 1.1


def test_a_promise_about_everybody_passes_over_pairs_that_nothing_could_open():
    def isolated(count: int) -> World:
        confs = [conf(f"n{i}", ip_network((0xAC100000 + 256 * i, 24))) for i in range(count)]
        return world(confs, {c.name: ((), EVERYTHING) for c in confs})

    def asked(count: int, *, port: int = 23) -> None:
        what = Match(protocol=TCP, destination=Side(ports=(PortRange(port, port),)))
        ends = ExpectedEnd(word="endpoints")
        assert outcome(isolated(count), Expectation("nobody", ends, ends, Action.DENY, (what,))).verdict

    assert calls(asked, 20) <= 40_000
    assert growth_in_calls(asked, 10) <= 3


def test_a_test_costs_the_rules_that_could_decide_its_packets_and_no_others():
    rules_of = tuple(
        Rule(Action.ALLOW, Match(protocol=TCP, destination=Side(ports=(PortRange(p, p),)))) for p in range(1, 401)
    )

    def asked(count: int) -> None:
        assert outcome(one(rules_of[:count]), between("web", "web", 60000)).verdict

    assert growth_in_calls(asked, 100) <= 0.8


def test_what_counts_calls_counts_them():
    assert calls(lambda n: [abs(-1) for _ in range(n)], 100) - calls(lambda n: [abs(-1) for _ in range(n)], 50) == 50
    assert growth_in_calls(lambda n: [abs(-1) for _ in range(n * n)], 20) > 3
