import json
from ipaddress import IPv4Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Icmp, Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.targets.calico_v1.read import read_calico_v1

TEN = Side(nets=(IPv4Network("10.0.0.0/8"),))


def ingress(*rules, **more):
    lists = {"id": "web", "inbound_rules": list(rules), "outbound_rules": [{"action": "allow"}]} | more
    back = read_calico_v1(json.dumps({"tags": ["web"], "rules": lists}))
    assert back.egress == (() if back.ingress == () else (Rule(Action.ALLOW),))
    return back.ingress


def deny(version):
    return Rule(Action.DENY, Match(ip_version=version))


def test_trap_a_an_address_without_ip_version_opens_the_whole_other_family():
    assert ingress({"src_net": "10.0.0.0/8"}) == (
        Rule(Action.ALLOW, Match(ip_version=4, source=TEN)),
        Rule(Action.ALLOW, Match(ip_version=6)),
    )


def test_trap_b_an_icmp_type_without_ip_version_drops_all_ipv6():
    assert ingress({"protocol": "icmp", "icmp_type": 8}) == (
        Rule(Action.ALLOW, Match(ip_version=4, protocol=1, icmp=Icmp(8))),
        deny(6),
    )
    assert ingress({"protocol": "icmpv6", "icmp_type": 128, "icmp_code": 0}) == (
        deny(4),
        Rule(Action.ALLOW, Match(ip_version=6, protocol=58, icmp=Icmp(128, 0))),
    )


def test_trap_b_plain_icmp_in_ipv6_is_not_icmpv6():
    assert ingress({"protocol": "icmp"}) == (Rule(Action.ALLOW, Match(protocol=1)),)


@pytest.mark.parametrize("protocol", ["sctp", "udplite"])
def test_trap_ports_of_other_protocols_drop_everything(protocol):
    assert ingress({"protocol": protocol, "dst_ports": [80]}) == (Rule(Action.DENY),)


def test_trap_icmp_type_255_drops_everything():
    assert ingress({"protocol": "icmp", "ip_version": 4, "icmp_type": 255}) == (deny(4),)


@pytest.mark.parametrize(
    "rule",
    [
        {"!src_net": "10.0.0.0/8"},
        {"src_selector": "has(a)"},
        {"log": True},
        {"action": "log"},
        {"action": "Allow"},
        {"protocol": "all"},
        {"protocol": 0},
        {"protocol": {"a": "b"}},
        {"protocol": ["tcp"], "dst_ports": [80]},
        {"action": {"a": "b"}},
        {"protocol": 256},
        {"protocol": True},
        {"protocol": "icmp", "ip_version": 6},
        {"protocol": "icmpv6", "ip_version": 4},
        {"ip_version": 5},
        {"ip_version": "4"},
        {"src_net": "10.0.0.0/33"},
        {"src_net": ["10.0.0.0/8"]},
        {"src_net": "10.0.0.0/8", "ip_version": 6},
        {"dst_ports": [80]},
        {"protocol": "6", "dst_ports": [80]},
        {"protocol": "tcp", "dst_ports": ["80"]},
        {"protocol": "tcp", "dst_ports": ["80:80"]},
        {"protocol": "tcp", "dst_ports": ["90:80"]},
        {"protocol": "tcp", "dst_ports": [65536]},
        {"protocol": "tcp", "dst_ports": 80},
        {"protocol": "icmp", "icmp_code": 0},
        {"protocol": "icmp", "icmp_type": 256},
        {"src_tag": "a b"},
        "allow",
    ],
)
def test_trap_c_one_rule_that_felix_does_not_take_closes_the_whole_profile(rule):
    assert ingress({"action": "allow"}, rule) == ()


@pytest.mark.parametrize("key", ["inbound_rules", "outbound_rules"])
def test_trap_c_a_missing_list_closes_the_whole_profile(key):
    assert ingress({"action": "allow"}, **{key: None}) == ()


def test_unknown_keys_beside_the_lists_are_passed_over():
    assert ingress({}, comment="x") == (Rule(Action.ALLOW),)


def test_a_null_is_no_key_and_no_action_is_allow():
    assert ingress({"src_net": None, "src_tag": "db"}) == (Rule(Action.ALLOW, Match(source=Side(selector=has("db")))),)


def test_port_0_and_host_bits_are_taken():
    rule = {"ip_version": 4, "protocol": "udp", "src_net": "10.1.2.3/8", "dst_ports": [0, "1:9"]}
    ports = Side(ports=(PortRange(0, 0), PortRange(1, 9)))
    assert ingress(rule) == (Rule(Action.ALLOW, Match(ip_version=4, protocol=17, source=TEN, destination=ports)),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"tags": ["a"]}',
        '{"tags": "a", "rules": {"id": "a"}}',
        '{"tags": [], "rules": {"id": 1}}',
        '{"tags": [], "tags": [], "rules": {"id": "a"}}',
        '{"tags": [], "rules": {"id": "a", "calico_rkt": []}}',
    ],
)
def test_what_is_no_document_of_tags_and_rules_is_refused(text):
    with pytest.raises(CompileError) as caught:
        read_calico_v1(text)
    assert [d.code for d in caught.value.diagnostics] == ["CR510"]
