"""A list longer than Calico takes is published merged, under a form and a digest of its own; others keep each byte."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import groupby

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import LINES, MERGED, MOST_RULES, digest
from calico_rkt.compiler.ir.model import Action, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.calico_v3 import plan as planning
from calico_rkt.compiler.targets.calico_v3.form import in_form, merged
from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3, verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from tests.bench.workloads import hierarchical, scattered
from tests.bench.workloads import rules as workload

V3 = TARGETS["calico-v3"]
ALL = Rule(Action.ALLOW)


def lines(count):
    """Allowed nets that lie apart, each its own rule."""
    return tuple(_tcp(Action.ALLOW, f"10.{n >> 7}.{2 * n & 255}.0/24", 80) for n in range(count))


def _tcp(action, net, port, label=None):
    source = Side(nets=(IPv4Network(net),) if net else (), selector=has(label) if label else None)
    return Rule(action, Match(4, 6, source=source, destination=Side(ports=(PortRange(port, port),))))


def test_a_list_that_calico_takes_is_written_line_by_line():
    network = Network("web", "web", lines(MOST_RULES), (ALL,))
    assert in_form(network) is network
    text = write_proven(network, "calico-v3")
    assert text == write_calico_v3(network)
    assert "calico-rkt.org/form" not in text
    assert read_calico_v3(text).form == LINES


def test_a_longer_one_is_merged_and_its_text_says_so():
    network = Network("web", "web", lines(MOST_RULES + 1), (ALL,))
    found = in_form(network)
    assert (found.form, len(found.ingress), found.egress) == (MERGED, 5, (ALL,))
    text = write_proven(network, "calico-v3")
    assert '    calico-rkt.org/form: "2"\n' in text
    assert read_calico_v3(text).digest == digest(found) != digest(network)
    assert verify_calico_v3(text) == found


def test_what_was_read_is_written_again_as_it_stood():
    """Stores do that; a profile is never in another form than the one that it was published in."""
    text = write_proven(Network("web", "web", lines(MOST_RULES + 1)), "calico-v3")
    assert write_calico_v3(verify_calico_v3(text)) == text


def test_a_long_list_in_the_other_direction_is_split_as_ever_and_read_as_it_stands():
    nets = tuple(IPv4Network(f"11.{n >> 7}.{2 * n & 255}.0/24") for n in range(300))
    network = Network(
        "web", "web", lines(MOST_RULES + 1), (Rule(Action.ALLOW, Match(4, destination=Side(nets=nets))), ALL)
    )
    text = write_proven(network, "calico-v3")
    assert [len(r.match.destination.nets) for r in verify_calico_v3(text).egress] == [256, 44, 0]


@pytest.mark.parametrize("workload_of", [hierarchical, scattered])
def test_ten_thousand_nets_and_ports_are_a_hundred_rules(workload_of):
    found = merged(workload(workload_of(10_000)))
    assert found is not None
    assert len(found.written) < 100


def test_two_thousand_rules_compile_where_they_were_refused():
    rules = workload(hierarchical(2000))
    network = Network("web", "web", rules)
    with pytest.raises(CompileError, match="ingress has 2,000 rules, Calico takes 1,024"):
        write_calico_v3(network)
    assert len(read_calico_v3(write_proven(network, "calico-v3")).ingress) < MOST_RULES


def test_what_can_not_be_merged_far_enough_is_refused_with_both_counts():
    apart = tuple(_tcp(Action.DENY if n % 2 else Action.ALLOW, "10.0.0.0/8", 1 + n, "a") for n in range(2))
    kinds = tuple(_tcp(Action.ALLOW, f"10.{n >> 8}.{n & 255}.0/24", 1 + 2 * n) for n in range(1100))
    network = Network("web", "web", (*apart, *kinds), kinds[:5])
    with pytest.raises(CompileError) as refused:
        write_proven(network, "calico-v3")
    (found,) = refused.value.diagnostics
    assert found.code == "CR524"
    assert "ingress has 1,102 rules" in found.message
    assert "merged as far as they go they are 1,102" in found.hint


def test_who_only_checks_hears_what_the_writer_says():
    V3.check(Network("web", "web", workload(hierarchical(2000))))
    needless = tuple(_tcp(Action.ALLOW, f"10.0.{n & 255}.0/24", 2 + 2 * n) for n in range(1100))
    V3.check(Network("web", "web", (_tcp(Action.DENY, "10.0.0.0/8", 1), ALL, *needless)))  # short by leaving out alone
    bad = Rule(Action.DENY, Match(4, source=Side(not_nets=(IPv4Network("0.0.0.0/0"),))))
    network = Network("web", "web", (*lines(MOST_RULES), bad, bad))
    for refuses in (V3.check, V3.write):
        with pytest.raises(CompileError, match="ingress rule 1025"):
            refuses(network)


def test_a_digest_says_that_merged_rules_were_edited():
    text = write_proven(Network("web", "web", lines(MOST_RULES + 1)), "calico-v3")
    with pytest.raises(CompileError, match="was edited"):
        verify_calico_v3(text.replace("10.0.0.0/24", "10.0.0.0/23", 1))


@pytest.mark.parametrize("form", ["0", "-1", "two", "1.5", ""])
def test_a_form_is_a_number(form):
    text = write_proven(Network("web", "web", lines(MOST_RULES + 1)), "calico-v3")
    with pytest.raises(CompileError, match=r"calico-rkt\.org/form"):
        read_calico_v3(text.replace('form: "2"', f'form: "{form}"'))


MIXED = (
    *(
        r
        for n in range(8)
        for r in (_tcp(Action.ALLOW, f"10.0.{2 * n}.0/24", 80), _tcp(Action.DENY, "10.0.4.7/32", 80))
    ),
    Rule(Action.LOG, Match(protocol=17)),
    _tcp(Action.DENY, "10.0.0.0/8", 80, "a"),
    _tcp(Action.ALLOW, "10.0.0.0/8", 80, "b"),
    _tcp(Action.DENY, "10.0.0.0/8", 80, "b"),
    Rule(Action.LOG, Match(protocol=6)),
    *lines(MOST_RULES),
)
"""What each of the planner's thoughts decides about."""


def test_the_list_that_is_planned_wrong_below_is_planned_well():
    assert write_proven(Network("web", "web", MIXED), "calico-v3")


def _everything_in_one_run(rules, key):
    del key
    yield False, [r for r in rules if r.action is not Action.LOG]


def _over_a_log(rules, key):
    found = [(kind, list(run)) for kind, run in groupby(rules, key)]
    if len(found) > 2:
        found[0][1].append(found[2][1].pop(0))
    return found


def _wider(nets):
    return tuple(net.supernet() if n == 0 else net for n, net in enumerate(JOINED(nets)))


@pytest.mark.parametrize(
    ("thought", "wrong", "said"),
    [
        ("_meeting", lambda rules, _: [[] for _ in rules], r"TCP 10\.0\.4\.7:49152 -> .*:80"),
        ("groupby", _everything_in_one_run, "reads back as|no more rules"),
        ("groupby", _over_a_log, r"for example ingress leaves to what comes next TCP .* and the text denies it"),
        ("_JOINED", None, r"TCP 10\..* -> .*:80"),
        ("needless", lambda _, rules, __: {0: ()} if len(rules) == 3 else {}, r"TCP .* -> .*:80"),
        ("needless", lambda _, rules, __: {1: (0,)} if len(rules) == 3 else {}, "an endpoint with {'b': "),
    ],
    ids=[
        "across a Deny",
        "without Logs",
        "across a Log",
        "a wrong union",
        "one left out",
        "one left out that decides for one assignment of labels",
    ],
)
def test_a_wrong_thought_of_the_planner_is_refused_with_a_packet(monkeypatch, thought, wrong, said):
    monkeypatch.setattr(planning, thought, wrong or {**planning._JOINED, "nets": _wider})
    with pytest.raises(CompileError, match=said) as refused:
        write_proven(Network("web", "web", MIXED), "calico-v3")
    (found,) = refused.value.diagnostics
    assert found.code == "CR601"


JOINED = planning.joined_nets
