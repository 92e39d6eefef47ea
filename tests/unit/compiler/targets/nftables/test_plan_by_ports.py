"""Nets of any protocol between many rules about ports: chains by ports; a wrong thought of it is refused."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError, Span
from calico_rkt.compiler.ir.model import Action, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.review.rule_lines import explain_maps
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.nftables import by_ports
from calico_rkt.compiler.targets.nftables import plan as planning
from calico_rkt.compiler.targets.nftables import port_classes as classes
from calico_rkt.compiler.targets.nftables.parts import Map, Ports, Rest
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
    """Of IPv4, where the nets are: labels' IPv6 is cut by nothing."""
    found = list(planning.plan(NETWORK.ingress, 20))
    assert [type(part) for part in found] == [Ports, Ports, Rest]
    assert [(p.version, p.protocol, len(p.chains)) for p in found[:2]] == [(4, TCP, 3), (4, UDP, 3)]
    for chain in (c for p in found[:2] for c in p.chains):
        lines = [part for part in chain.parts if isinstance(part, Rule)]
        assert sum(r.match.protocol is not None for r in lines) <= 32
        assert {r.match.ip_version for r in lines} == {4}
        assert sum(len(part.elements) for part in chain.parts if isinstance(part, Map)) < COUNT
    assert [(part.version, len(part.elements)) for part in found[2].parts] == [(6, COUNT // 2 + 1), (4, COUNT)]


def test_a_port_is_led_to_what_says_otherwise_before_its_rule_and_the_rest_is_behind_all():
    """Nets that are allowed need not be asked before a port that is allowed; each is asked behind it."""
    (led, _) = (part for part in planning.plan(tuple(nested()), 20) if isinstance(part, Ports))
    for chain in led.chains:
        actions = {part.action for part in chain.parts if isinstance(part, Rule) and part.match.protocol == TCP}
        others = {part.action for part in chain.parts if isinstance(part, Rule) and part.match.protocol is None}
        others |= {e.action for part in chain.parts if isinstance(part, Map) for e in part.elements}
        assert len(actions) == 2 or not others & actions


def nested():
    """Nets in nets of the other action, in both families; TCP ports of both actions, and UDP ports of a label."""
    for n in range(COUNT):
        net = IPv4Network((10 << 24 | n << 16, 16))
        yield Rule(Action.ALLOW, Match(4, source=Side(nets=(IPv4Network((int(net[0]) | 1 << 15, 17)),))))
        action = Action.ALLOW if n % 4 else Action.DENY
        yield Rule(action, Match(None, TCP, source=Side(selector=has("db")), destination=_port(n)))
        yield Rule(Action.DENY, Match(4, source=Side(nets=(net,))))
        yield Rule(Action.DENY, Match(6, source=Side(nets=(IPv6Network((0xFD << 120 | n << 96, 32)),))))
        yield Rule(Action.ALLOW, Match(None, UDP, source=Side(selector=has("db")), destination=_port(n)))


NESTED = Network("web", "web", ingress=tuple(nested()))


def test_ports_of_both_families_are_led_away_where_both_are_cut():
    found = list(planning.plan(NESTED.ingress, 20))
    assert [(p.version, p.protocol) for p in found if isinstance(p, Ports)] == [(None, TCP), (None, UDP)]
    assert "meta nfproto" not in write_proven(NESTED, "nftables")


def test_a_text_with_chains_by_ports_is_proven_and_shorter():
    text = write_proven(NETWORK, "nftables")
    assert {f"{way}-web/{n}" for way in ("in", "out") for n in range(1, 8)} == {
        line.split()[-1] for line in text.splitlines() if line.startswith("flush") and "/" in line
    }
    assert text.count("\n") < 2500  # as maps alone: some 10,000 elements a direction


def test_no_chain_where_a_log_is_in_the_list():
    with_log = (*NETWORK.ingress, Rule(Action.LOG), Rule(Action.ALLOW))
    assert not any(isinstance(part, Ports) for part in planning.plan(with_log, 20))
    assert " goto " not in write_proven(Network("web", "web", ingress=with_log), "nftables")


def test_explain_leads_from_each_chain_to_the_lines_behind_it():
    said = explain_maps(NETWORK)
    assert "\ningress in nftables, by ports of IPv4:\n  1000 : goto in-web/1\n" in said
    assert "\negress in nftables, by ports of IPv4:\n  1000 : goto out-web/1\n" in said
    for n in range(3 * COUNT):
        assert f"web.yaml:{n + 1}\n" in said


def _first_rule_alone(found, most):
    return tuple(classes.PortClass(c.ports, c.rules[:1]) for c in classes.port_classes(found, most))


def _first_ports_alone(found, most):
    return tuple(classes.PortClass(c.ports[:1], c.rules) for c in classes.port_classes(found, most))


def _asked_late(nets, parted):
    return [replace(piece, at=10**6) for piece in PIECES(nets, parted)]


def _not_parted(nets, _):
    """Each net as it stands, also where an earlier one has decided."""
    return PIECES(nets, lambda rules: [m for rule in rules for m in planning._parted([rule] * 30)])


def _of_any_family(rules, version):
    return (found for found in rules if version != found[1].match.ip_version)


PIECES = by_ports._pieces


@pytest.mark.parametrize(
    ("place", "thought", "wrong"),
    [
        (by_ports, "port_classes", _first_rule_alone),
        (by_ports, "port_classes", _first_ports_alone),
        (by_ports, "_pieces", _asked_late),
        (by_ports, "_pieces", _not_parted),
        (by_ports, "_of_family", _of_any_family),
        (by_ports, "_asked", lambda pieces: pieces[:0]),
        (planning, "Rest", lambda parts: Rest(parts[1:])),
    ],
    ids=[
        "rules of a class",
        "ports of a class",
        "late",
        "not parted",
        "no family",
        "nothing first",
        "not all the rest",
    ],
)
@pytest.mark.parametrize("network", [NETWORK, NESTED], ids=["plain", "nested"])
def test_a_wrong_thought_is_refused_with_a_packet(monkeypatch, place, thought, wrong, network):
    if (thought, wrong) == ("_pieces", _not_parted) and network is NETWORK:
        pytest.skip("its nets are apart")
    if thought == "_of_family" and network is NESTED:
        pytest.skip("both families are led")
    monkeypatch.setattr(place, thought, wrong)
    with pytest.raises(CompileError) as refused:
        write_proven(network, "nftables")
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
        (" chains=7", ""),
        (" chains=7", " chains=6"),
        ("        goto in-web/7\n        drop", "        goto in-web/8\n        drop"),
        ("        goto in-web/7\n        drop", "        goto in-web/6\n        drop"),
        ("        goto in-web/7\n        drop", "        goto out-web/7\n        drop"),
        ("        goto in-web/7\n        drop", "        goto in-web\n        drop"),
        ("        goto in-web/7\n        drop", "        jump in-web/7\n        drop"),
        ("        meta nfproto ipv4 tcp dport vmap {", "        ip saddr 10.0.0.0/8 tcp dport vmap {"),
        ("        meta nfproto ipv4 tcp dport vmap {", "        meta nfproto ipv4 tcp sport vmap {"),
        (
            "        ip6 saddr @m6-db tcp dport vmap {\n",
            "        goto in-web/7\n        ip6 saddr @m6-db tcp dport vmap {\n",
        ),
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        goto in-web/7\n        drop", "        drop"),
        ("        meta nfproto ipv4 tcp dport vmap {", "        meta nfproto ipv6 tcp dport vmap {"),
        ("        meta nfproto ipv4 tcp dport vmap {", "        meta nfproto ipv4 udp dport vmap {"),
    ],
)
def test_a_text_that_leads_otherwise_is_read_as_it_leads(text, old, new):
    wrong = text.replace(old, new)
    assert wrong != text
    assert "for example" in TARGETS["nftables"].differs(NETWORK, wrong)


def test_what_a_chain_of_ports_does_not_say_is_denied_there(text):
    """As by the kernel: who is led away does not come back."""
    denied = [r for r in read_nftables(text).ingress if r.action is Action.DENY and r.match.source == Side()]
    assert [r.match.protocol for r in denied] == [TCP] * 3 + [UDP] * 3 + [None]
