"""Neighbours in a long map are one element, which names all rules behind it; short maps keep an element a rule."""

from ipaddress import IPv4Network

import pytest

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.review.rule_lines import explain_maps
from calico_rkt.compiler.targets.nftables import plan as planning


def _nets(count):
    """Nets side by side in fours: three are allowed, and the fourth is denied."""
    for n in range(count):
        match = Match(4, 6, source=Side((IPv4Network((0x0A000000 + (n << 8), 24)),)), destination=Side(ports=PORTS))
        yield Rule(Action.DENY if n % 4 == 3 else Action.ALLOW, match, Span("web.yaml", n + 1, 1, 2))


PORTS = (PortRange(80, 80),)


@pytest.mark.parametrize(("count", "elements"), [(40, 40), (planning.MANY, planning.MANY), (400, 200)])
def test_neighbours_are_joined_where_there_are_many(count, elements):
    network = Network("web", "web", ingress=tuple(_nets(count)))
    (found,) = planning.plan(network.ingress, 20)
    assert len(found.elements) == elements
    assert write_proven(network, "nftables").count(" : ") == elements
    assert {rule.span.line for element in found.elements for rule in element.rules} == set(range(1, count + 1))


def test_explain_names_each_line_behind_an_element():
    text = explain_maps(Network("web", "web", ingress=tuple(_nets(400))))
    assert "10.0.0.0-10.0.2.255 . 80 : return  <- web.yaml:1, web.yaml:2, web.yaml:3\n" in text.replace("   ", " ")


def test_icmp_types_stay_one_by_one():
    rules = tuple(Rule(Action.ALLOW, Match(4, 1, icmp=Icmp(kind, code))) for kind in range(8, 20) for code in range(12))
    assert write_proven(Network("web", "web", ingress=rules), "nftables").count(" : return") == len(rules)
