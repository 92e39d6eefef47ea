"""Sets whose elements hold more than one value: a pair with a range is never taken for one that misses."""

from ipaddress import ip_address

import pytest

from calico_rkt.compiler.ir.model import Icmp
from calico_rkt.plugin.attest.conditions import holds, in_set
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import Set


def a_set(*elements):
    return Set("s", ("ifname", "ipv4_addr"), dict.fromkeys(elements, ""))


@pytest.mark.parametrize("wide", ["10.65.0.1-10.65.0.5", "10.65.0.0/28"])
def test_a_pair_with_a_range_or_a_net_may_hold_another_pair(wide):
    known = a_set(f"crk1 . {wide}", "crk2 . 10.65.0.2")
    assert in_set(("crk1", ip_address("10.65.0.3")), known) is None
    assert in_set(("crk2", ip_address("10.65.0.2")), known) is True


def test_a_pair_with_a_pattern_may_hold_another_pair():
    assert in_set(("crk1", ip_address("10.65.0.3")), a_set("crk* . 10.65.0.3")) is None


def test_a_name_with_a_dash_is_one_name():
    known = a_set("veth-1 . 10.65.0.2")
    assert in_set(("veth-1", ip_address("10.65.0.2")), known) is True
    assert in_set(("veth-1", ip_address("10.65.0.3")), known) is False
    packet = Packet(Kind.NEW, ip_address("10.65.0.3"), ip_address("10.65.0.4"), 6, "other", "")
    left = {"concat": [{"meta": {"key": "iifname"}}, {"meta": {"key": "iifgroup"}}]}
    assert holds({"op": "==", "left": left, "right": "@s"}, packet, {"s": known}, "forward") is False


@pytest.mark.parametrize("which", ["original", "reply"])
@pytest.mark.parametrize("op", ["==", "!="])
@pytest.mark.parametrize(
    ("kind", "icmp"), [(Kind.NEW, 130), (Kind.NEW, 135), (Kind.INVALID, 129)], ids=["listeners", "neighbours", "none"]
)
def test_who_belongs_to_no_flow_meets_no_rule_on_its_ends(which, op, kind, icmp):
    """nft: where conntrack has no entry an expression on one ends the rule, whatever is compared."""
    packet = Packet(kind, ip_address("fd65::1"), ip_address("fd65::2"), 58, "crk1", "crk2", icmp=Icmp(icmp, 0))
    left = {"ct": {"key": "ip6 saddr", "dir": which}}
    assert holds({"op": op, "left": left, "right": "fd65::1"}, packet, {}, "forward") is False
    pair = {"concat": [left, {"payload": {"protocol": "icmpv6", "field": "type"}}]}
    assert holds({"op": op, "left": pair, "right": {"set": []}}, packet, {}, "forward") is False
