import json
from ipaddress import IPv4Network, IPv6Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError, Span
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector import any_of, has
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.calico_v1.write import write_calico_v1

TEN, ELEVEN, SIX = IPv4Network("10.0.0.0/8"), IPv4Network("11.0.0.0/8"), IPv6Network("fd00::/8")


def allow(**match):
    return Rule(Action.ALLOW, Match(**match))


def inbound(*rules):
    network = Network("web", "web", ingress=rules)
    text = write_calico_v1(network)
    assert TARGETS["calico-v1"].differs(network, text) is None
    return json.loads(text)["rules"]["inbound_rules"]


def refused(*rules):
    with pytest.raises(CompileError) as caught:
        write_calico_v1(Network("web", "web", ingress=rules))
    return [d.code for d in caught.value.diagnostics]


def test_the_default_profile_is_what_pycalico_creates_with_our_digest_beside_it():
    network = Network("web", "web", ingress=(allow(source=Side(selector=has("web"))),), egress=(allow(),))
    assert (
        write_calico_v1(network)
        == f"""\
{{
  "tags": ["web"],
  "rules": {{
    "id": "web",
    "inbound_rules": [
      {{"action": "allow", "src_tag": "web"}}
    ],
    "outbound_rules": [
      {{"action": "allow"}}
    ],
    "calico_rkt": {{"network": "web", "digest": "{digest(network)}", "compiler": "0.1.0"}}
  }}
}}
"""
    )


def test_a_direction_without_rules_is_an_empty_list():
    assert '    "inbound_rules": [],\n' in write_calico_v1(Network("web", "web"))


def test_trap_a_an_address_always_has_its_ip_version():
    rules = inbound(allow(ip_version=4, source=Side(nets=(TEN,))), allow(ip_version=6, destination=Side(nets=(SIX,))))
    assert rules == [
        {"action": "allow", "ip_version": 4, "src_net": "10.0.0.0/8"},
        {"action": "allow", "ip_version": 6, "dst_net": "fd00::/8"},
    ]
    assert refused(allow(source=Side(nets=(TEN,)))) == ["CR504"]


def test_trap_b_icmp_always_has_its_ip_version():
    rules = inbound(allow(ip_version=4, protocol=1, icmp=Icmp(8, 0)), allow(ip_version=6, protocol=58, icmp=Icmp(128)))
    assert rules == [
        {"action": "allow", "ip_version": 4, "protocol": "icmp", "icmp_type": 8, "icmp_code": 0},
        {"action": "allow", "ip_version": 6, "protocol": "icmpv6", "icmp_type": 128},
    ]
    assert refused(allow(protocol=1)) == ["CR534"]
    assert refused(allow(protocol=58)) == ["CR534"]


def test_trap_icmp_of_the_other_family_would_close_the_profile_and_is_refused():
    assert refused(allow(ip_version=6, protocol=1)) == ["CR534"]
    assert refused(allow(ip_version=4, protocol=58)) == ["CR534"]


@pytest.mark.parametrize("protocol", [132, 136])
def test_trap_ports_of_sctp_would_render_as_a_drop_and_are_refused(protocol):
    assert "CR533" in refused(allow(protocol=protocol, destination=Side(ports=(PortRange(80, 80),))))


def test_trap_tcp_and_udp_with_ports_have_their_names_never_numbers():
    ports = Side(ports=(PortRange(80, 80), PortRange(8000, 8100)))
    assert inbound(allow(protocol=6, destination=ports), allow(protocol=17, source=ports)) == [
        {"action": "allow", "protocol": "tcp", "dst_ports": [80, "8000:8100"]},
        {"action": "allow", "protocol": "udp", "src_ports": [80, "8000:8100"]},
    ]


def test_trap_a_range_of_one_port_is_a_number():
    assert inbound(allow(protocol=6, destination=Side(ports=(PortRange(80, 80),))))[0]["dst_ports"] == [80]


def test_trap_c_no_rule_has_a_key_that_felix_would_close_the_profile_for():
    negated = (
        allow(not_protocol=6),
        allow(ip_version=4, protocol=1, not_icmp=Icmp(8)),
        allow(ip_version=4, source=Side(not_nets=(TEN,))),
        allow(protocol=6, destination=Side(not_ports=(PortRange(80, 80),))),
        allow(source=Side(not_selector=has("db"))),
    )
    for rule in negated:
        assert refused(rule) == ["CR531"]


@pytest.mark.parametrize(
    "selector", ["all()", "!has(db)", "has(a) && has(b)", 'a == "b"', "has(a) || !has(b)", "has(a/b)"]
)
def test_selectors_other_than_tags_are_refused(selector):
    assert refused(allow(source=Side(selector=parse_selector(selector)))) == ["CR532"]


def test_log_is_refused_and_the_line_is_named():
    span = Span("web.yaml", 3, 5, 9)
    with pytest.raises(CompileError, match="egress rule 2: the 2015 model has no log action") as caught:
        write_calico_v1(Network("web", "web", egress=(allow(), Rule(Action.LOG, Match(), span))))
    assert [(d.code, d.span) for d in caught.value.diagnostics] == [("CR530", span)]


def test_an_endpoint_to_host_of_ones_own_is_felixs_setting():
    with pytest.raises(CompileError, match="Felix's own setting"):
        write_calico_v1(Network("web", "web", endpoint_to_host=ToHost.ACCEPT))


def test_addresses_become_one_rule_a_pair_in_their_order():
    nets = Side(nets=(TEN, ELEVEN))
    assert [(r["src_net"], r["dst_net"]) for r in inbound(allow(ip_version=4, source=nets, destination=nets))] == [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8", "11.0.0.0/8"),
        ("11.0.0.0/8", "10.0.0.0/8"),
        ("11.0.0.0/8", "11.0.0.0/8"),
    ]


def test_an_or_of_tags_becomes_one_rule_a_tag_on_either_side():
    tags = Side(selector=any_of([has("a"), has("b")]))
    assert inbound(allow(source=tags), Rule(Action.DENY, Match(destination=tags))) == [
        {"action": "allow", "src_tag": "a"},
        {"action": "allow", "src_tag": "b"},
        {"action": "deny", "dst_tag": "a"},
        {"action": "deny", "dst_tag": "b"},
    ]


def test_protocols_without_ports_keep_their_name_or_number():
    assert [r["protocol"] for r in inbound(*(allow(protocol=n) for n in (6, 17, 132, 136, 99)))] == [
        "tcp",
        "udp",
        "sctp",
        "udplite",
        99,
    ]


def test_a_name_with_quotes_and_braces_is_only_a_name():
    name = 'a"b{{7*7}}\\'
    assert json.loads(write_calico_v1(Network(name, "x-01234567")))["rules"]["calico_rkt"]["network"] == name
