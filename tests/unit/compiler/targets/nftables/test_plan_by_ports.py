"""Nets of any protocol between many rules about ports: chains by ports; a wrong thought of it is refused."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError, Span
from calico_rkt.compiler.ir.model import Action, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.review.rule_lines import explain_maps
from calico_rkt.compiler.targets.nftables import plan as planning
from calico_rkt.compiler.targets.nftables import port_classes as classes
from calico_rkt.compiler.targets.nftables.parts import Map, Ports
from calico_rkt.compiler.targets.nftables.read import read_nftables

TCP, UDP, COUNT = 6, 17, 80


def rules():
    """Of each kind so many in turn: a net of any protocol, a label's TCP port, all but a net to a UDP port."""
    for n in range(COUNT):
        for number, match in enumerate(
            (
                Match(4, source=Side(nets=(IPv4Network((10 << 24 | n << 16, 16)),))),
                Match(None, TCP, source=Side(selector=has("db")), destination=_port(n)),
                Match(4, UDP, source=Side(not_nets=(IPv4Network("10.3.0.0/16"),)), destination=_port(n)),
            )
        ):
            yield Rule(Action.DENY if number == 0 else Action.ALLOW, match, Span("web.yaml", 3 * n + number + 1, 1, 2))


def _port(n):
    return Side(ports=(PortRange(1000 + n, 1000 + n + n % 2),))


NETWORK = Network("web", "web", ingress=tuple(rules()), egress=tuple(rules()))


def test_what_cuts_too_much_is_led_away_by_ports():
    found = list(planning.plan(NETWORK.ingress, 20))
    assert [type(part) for part in found] == [Ports, Ports, Map]
    assert [(p.protocol, len(p.chains)) for p in found[:2]] == [(TCP, 3), (UDP, 3)]
    for chain in (c for p in found[:2] for c in p.chains):
        lines = [part for part in chain.parts if isinstance(part, Rule)]
        assert sum(r.match.protocol is not None for r in lines) <= 32
        assert sum(len(part.elements) for part in chain.parts if isinstance(part, Map)) <= COUNT


def test_a_text_with_chains_by_ports_is_proven_and_shorter():
    text = write_proven(NETWORK, "nftables")
    assert {f"{way}-web/{n}" for way in ("in", "out") for n in range(1, 7)} == {
        line.split()[-1] for line in text.splitlines() if line.startswith("flush") and "/" in line
    }
    assert text.count("\n") < 3000  # as maps alone: some 10,000 elements a direction


def test_no_chain_where_a_log_is_in_the_list():
    with_log = (*NETWORK.ingress, Rule(Action.LOG), Rule(Action.ALLOW))
    assert not any(isinstance(part, Ports) for part in planning.plan(with_log, 20))
    assert " goto " not in write_proven(Network("web", "web", ingress=with_log), "nftables")


def test_explain_leads_from_each_chain_to_the_lines_behind_it():
    said = explain_maps(NETWORK)
    assert "\ningress in nftables, by ports:\n  1000 : goto in-web/1\n" in said
    assert "\negress in nftables, by ports:\n  1000 : goto out-web/1\n" in said
    for n in range(3 * COUNT):
        assert f"web.yaml:{n + 1}\n" in said


def _first_rule_alone(found, most):
    return tuple(classes.PortClass(c.ports, c.rules[:1]) for c in classes.port_classes(found, most))


def _first_ports_alone(found, most):
    return tuple(classes.PortClass(c.ports[:1], c.rules) for c in classes.port_classes(found, most))


def _backwards(found):
    return tuple(rule for _, rule in sorted(found, reverse=True, key=lambda one: one[0]))


@pytest.mark.parametrize(
    ("thought", "wrong"),
    [("port_classes", _first_rule_alone), ("port_classes", _first_ports_alone), ("_in_order", _backwards)],
    ids=["not all rules of a class", "not all ports of a class", "not in order"],
)
def test_a_wrong_thought_is_refused_with_a_packet(monkeypatch, thought, wrong):
    monkeypatch.setattr(planning, thought, wrong)
    with pytest.raises(CompileError) as refused:
        write_proven(NETWORK, "nftables")
    assert "for example ingress" in refused.value.diagnostics[0].message


@pytest.fixture(scope="module")
def text():
    return write_proven(NETWORK, "nftables")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1000 : goto in-web/1,", "1000 : goto in-web/9,"),
        ("1000 : goto in-web/1,", "1000 : goto out-web/1,"),
        ("1000 : goto in-web/1,", "1000 : goto in-web,"),
        ("1000 : goto in-web/1,", "1000 : jump in-web/1,"),
        ("1000 : goto in-web/1,", "1000 : return,"),
        ("1000 : goto in-web/1,", "65536 : goto in-web/1,"),
        (" chains=6", ""),
        (" chains=6", " chains=5"),
        ("flush chain inet calico_rkt in-web/1\n", ""),
        (
            "        ip saddr @m4-db tcp dport 1000 return\n",
            '        limit rate 1/second burst 1 packets log prefix "x"\n',
        ),
        (
            "        ip saddr @m4-db tcp dport 1000 return\n",
            "        tcp dport vmap {\n            1 : goto in-web/2,\n        }\n",
        ),
    ],
)
def test_a_text_that_leads_elsewhere_is_no_text_of_ours(text, old, new):
    assert read_nftables(text).ended == ("ingress", "egress")
    assert old in text
    with pytest.raises(CompileError, match="no nftables text"):
        read_nftables(text.replace(old, new))


def test_what_a_chain_of_ports_does_not_say_is_denied_there(text):
    """As by the kernel: who is led away does not come back."""
    denied = [r for r in read_nftables(text).ingress if r.action is Action.DENY and r.match.source == Side()]
    assert [r.match.protocol for r in denied] == [TCP] * 3 + [UDP] * 3
