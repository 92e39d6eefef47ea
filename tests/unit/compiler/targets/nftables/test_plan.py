"""What the planner does wrong is refused with a packet: each of its thoughts is planted wrong once."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.targets.nftables import plan as planning
from calico_rkt.compiler.targets.nftables.peers import Lookup

TEN = IPv4Network("10.0.0.0/8")


def rules():
    """Rules that cut each other in every dimension that the planner thinks about."""
    for n in range(12):
        net, port = IPv4Network((0x0A000000 + (n << 16), 16)), PortRange(80 + n, 90)
        yield Rule(
            Action.DENY if n % 3 else Action.ALLOW, _match(6, source=Side((net,)), destination=Side(ports=(port,)))
        )
        yield Rule(Action.ALLOW, _match(6, source=Side((TEN,)), destination=Side(ports=(PortRange(80, 80 + n),))))
    yield Rule(Action.DENY, _match(source=Side((IPv4Network("10.3.0.0/16"),))))
    yield Rule(Action.ALLOW, _match(1, icmp=Icmp(3, 1)))
    yield Rule(Action.DENY, _match(1, icmp=Icmp(3)))
    yield Rule(Action.ALLOW, _match(1, source=Side((TEN,))))
    yield Rule(Action.DENY, _match(17, source=Side(selector=has("db")), destination=Side(ports=(PortRange(53, 53),))))
    yield Rule(Action.ALLOW, _match(17, destination=Side(ports=(PortRange(1, 100),))))
    yield Rule(Action.ALLOW, _match())


def _match(protocol=None, **more):
    return Match(4, protocol, **more)


NETWORK = Network("web", "web", ingress=tuple(rules()))


def test_the_plan_is_maps_and_is_proven():
    assert write_proven(NETWORK, "nftables").count("vmap {") > 4


def test_rules_of_long_lists_are_maps_as_the_lines_would_be_that_they_stand_for():
    """As Calico's merged profiles have them; a map's elements are counted against the members, not the rules."""
    many = [tuple(IPv4Network((0x0A000000 + (n << 16) + (m << 9), 24)) for m in range(100)) for n in range(30)]
    rules = tuple(
        Rule(
            Action.DENY if n % 3 else Action.ALLOW,
            _match(6, source=Side(nets), destination=Side(ports=(PortRange(n + 1, n + 1),))),
        )
        for n, nets in enumerate(many)
    )
    (found,) = planning.plan(rules, 20)
    assert len(found.elements) == 3000
    assert write_proven(Network("web", "web", ingress=rules), "nftables").count("vmap {") == 1


def test_a_log_that_can_match_nobody_may_be_written_as_nothing():
    nobody = Rule(Action.LOG, Match(source=Side(selector=has("db"), not_selector=has("db"))))
    network = Network("web", "web", ingress=(*(Rule(Action.ALLOW),) * 25, nobody))
    assert "log" not in write_proven(network, "nftables")


def _layers_upside_down(match):
    return 9 - LAYER(match)


@pytest.mark.parametrize(
    ("place", "thought", "wrong"),
    [
        (planning._Run, "_against", lambda _: dict.fromkeys(((n, a) for n in range(20) for a in Action), 0)),
        (planning, "layer_of", lambda _: 0),
        (planning, "layer_of", _layers_upside_down),
        (planning, "lookups_of_classes", lambda *_: (Lookup(),)),
        (planning, "_DIMENSIONS", planning._DIMENSIONS[:2]),
        (planning, "_DIMENSIONS", planning._DIMENSIONS[1:]),
    ],
    ids=["no cutting", "no layers", "layers upside down", "no peers", "no ports", "no sources"],
)
def test_a_wrong_thought_is_refused(monkeypatch, place, thought, wrong):
    """Mostly with a packet; ICMP types that no layer keeps whole become ranges, which no reader takes for a rule."""
    monkeypatch.setattr(place, thought, wrong)
    with pytest.raises(CompileError) as refused:
        write_proven(NETWORK, "nftables")
    (found,) = refused.value.diagnostics
    assert "for example ingress" in found.message or (thought == "layer_of" and found.code == "CR510")


LAYER = planning.layer_of


@pytest.mark.parametrize("protocol", [17, 47, None])
def test_a_net_of_all_addresses_beside_a_rule_without_a_net_is_written_and_proven(protocol):
    """Both say the same of one family; joined, they would speak for the other one, too."""
    filler = [
        Rule(Action.ALLOW, _match(6, source=Side((IPv4Network((192 << 24 | n << 8, 24)),)), destination=_at(n + 1)))
        for n in range(30)
    ]
    more = {"destination": _at(443)} if protocol == 17 else {}
    everybody = Side((IPv4Network("0.0.0.0/0"),))
    same = [
        Rule(Action.ALLOW, _match(protocol, source=everybody, **more)),
        Rule(Action.ALLOW, _match(protocol, **more)),
    ]
    network = Network("web", "web", ingress=(*filler, *same), egress=(Rule(Action.ALLOW),))
    assert "vmap" in write_proven(network, "nftables")


@pytest.mark.parametrize("others", [4, 6])
def test_a_net_of_all_addresses_of_one_family_takes_no_rule_of_the_other_past_its_nets(others):
    """They say the same, a net and no net, and stand in two layers."""
    everybody, hole = {
        4: (Side((IPv6Network("::/0"),)), IPv4Network("10.0.0.0/24")),
        6: (Side((IPv4Network("0.0.0.0/0"),)), IPv6Network("fd00::/48")),
    }[others]
    denied = (type(hole)((int(hole[0]) + n * hole.num_addresses, hole.prefixlen)) for n in range(24))
    rules = (
        *(Rule(Action.DENY, Match(others, source=Side((net,)))) for net in denied),
        Rule(Action.ALLOW, Match(10 - others, source=everybody)),
        Rule(Action.ALLOW, Match(others)),
    )
    assert "vmap" in write_proven(Network("web", "web", ingress=rules), "nftables")


def _at(port):
    return Side(ports=(PortRange(port, port),))
