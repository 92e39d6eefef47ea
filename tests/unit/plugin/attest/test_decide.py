"""Tables that differ from what was reviewed: all packets at once, so that one fares differently, or none does."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.targets.nftables.json_words import rule_words
from calico_rkt.plugin.attest.conditions import holds
from calico_rkt.plugin.attest.guards import GUARDS
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.reviewed import statements
from calico_rkt.plugin.attest.ruleset import OURS, KernelRule, Set
from calico_rkt.plugin.attest.walk import End, fates
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support.attested import OVERRIDES, RANGES, reviewed
from tests.table_edits import (
    ODD,
    check_shown,
    decided,
    deleted,
    edited,
    element,
    inserted,
    moved,
    policy,
    replaced,
    whole,
)

NAMES = [f"crk{n:012}" for n in (1, 2, 3, 4)]
WEB, API, SHUT = (str(group_of(i)) for i in ("web", "api", "shut"))
FAR = ip_address("203.0.113.9")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    networks = reviewed(tmp_path_factory.mktemp("net.d"), OVERRIDES, RANGES)
    endpoints = [
        Known(f"c{n}", i, NAMES[n], (ip_address(f"10.65.0.{n + 1}"), ip_address(f"fd65::{n + 1}")), ip_masq=i == "api")
        for n, i in enumerate(("web", "web", "api", "shut"))
    ]
    return Wanted(networks, tuple(endpoints), RANGES, "up0")


HARMLESS = {
    "the end of egress, whom everybody misses": deleted("egress", 2),
    "a mark that nobody gives": inserted("input", 2, "meta mark 7 accept"),
    "a mark that nobody gives, for one network": inserted("in-shut", 1, "meta mark 7 return"),
    "a policy that no packet comes to": policy("prerouting"),
    "an endpoint in a group that it is not in": element("endpoints", f"{NAMES[0]} . 7", ""),
    "an endpoint in another network's group, where it is not": element("endpoints", f"{NAMES[0]} . {API}", ""),
    "a group that nothing is in": element("from_network", "7", "goto out-web"),
    "the guard of interfaces to leave by, of which each has its network": deleted("strays", 2),
    "a network's group where a rule of ours drops all": inserted("in-shut", 1, f"oifgroup {SHUT} drop"),
    "an order that changes nothing": moved("input", 2, 3),
    "an end that another rule is": deleted("host-shut", 1),
    "an address that nobody has": element("all4", "10.65.0.77", ""),
    "a rule behind one that drops all": inserted("in-shut", 2, "tcp dport 80 return"),
    "an interface's rule for addresses that it has not": inserted(
        "forward", 1, f"iifname {NAMES[0]} ip saddr 10.65.0.2 drop"
    ),
    "an end of a flow, of what belongs to none": inserted(
        "in-web", 1, "ct original ip6 saddr fd65::1 icmpv6 type 130 drop"
    ),
    "what only answers have, for new ones": inserted("forward", 1, f"iifname {NAMES[3]} ct state 2 drop"),
}
HARMFUL = {
    "answers of one container": (inserted("forward", 1, f"ct state 2 iifname {NAMES[0]} drop"), Kind.REPLY, False),
    "what goes on, of a flow that was answered": (
        inserted("known", 1, f"iifname {NAMES[1]} oifname up0 tcp dport 81 drop"), Kind.LATER, False,
    ),
    "errors about another's flow": (deleted("known", 8), Kind.ERROR, True),
    "what belongs to no flow": (deleted("forward", 2), Kind.INVALID, True),
    "jumps in another order": (moved("forward", 4, 1), None, None),
    "a port of a forwarded flow": (inserted("forward", 1, "tcp dport 4711 drop"), Kind.NEW, False),
    "the host's own": (inserted("input", 1, "udp dport 53 drop"), Kind.NEW, False),
    "an endpoint that is in no group": (element("endpoints", f"{NAMES[0]} . {WEB}"), Kind.NEW, False),
    "a network whose packets go nowhere": (element("from_network", WEB), Kind.NEW, False),
    "a network that nothing gets to": (element("to_network", API), Kind.NEW, False),
    "a network whose host is not reached": (element("network_to_host", WEB), Kind.NEW, False),
    "a network that goes by another's rules": (element("from_network", SHUT, "goto out-web"), None, None),
    "a group by a rule": (inserted("forward", 1, f"iifgroup {API} udp dport 53 drop"), Kind.NEW, False),
    "neighbours": (deleted("input", 4), Kind.NEW, False),
}  # fmt: skip


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_no_packet_s_way_is_proven_to_change_none(wanted, edit):
    found, _ = decided(wanted, edit)
    assert (found.packet, found.open) == (None, [])


@pytest.mark.parametrize(("edit", "kind", "passes"), HARMFUL.values(), ids=HARMFUL)
def test_what_changes_one_is_shown_by_a_packet_that_fares_differently(wanted, edit, kind, passes):
    found, table = decided(wanted, edit)
    check_shown(found, table, wanted, kind, passes)


def test_a_mark_that_something_on_the_host_may_give_is_not_decided(wanted):
    found, _ = decided(replace(wanted, unmarked=False), inserted("input", 2, "meta mark 7 accept"))
    assert found.packet is None
    assert found.open


def test_what_the_host_serves_itself_alone_is_reached_by_no_endpoint(wanted):
    wanted = replace(wanted, locals=(ip_address("127.0.0.1"),))
    found, table = decided(wanted, replaced("prerouting", 2, "iifname . ip saddr @source4 accept"))
    check_shown(found, table, wanted, None, True)
    assert found.packet.destination.is_loopback
    found, table = decided(
        wanted, replaced("prerouting", 2, "iifname . ip saddr @source4 ip daddr != 127.0.0.1 accept")
    )
    check_shown(found, table, wanted, None, True)  # with that address the host has all of them
    assert found.packet.destination in ip_network("127.0.0.0/8")


def test_what_holds_some_packets_of_an_address_is_asked_anew_each_time(wanted):
    """Dropped at first, and handed on where it is asked again: no packet of it fares so by one answer for both."""
    elements = [{"elem": {"limit": {"rate": 1, "burst": 5, "per": "second"}, "val": "10.65.0.1"}}, "203.0.113.77"]
    left = {"payload": {"protocol": "ip", "field": "saddr"}}
    some = {"match": {"op": "==", "left": left, "right": {"set": elements}}}
    rules = [KernelRule(OURS, "in-shut", 0, (some, {verdict: None})) for verdict in ("drop", "return")]
    found, _ = decided(wanted, ("in-shut", lambda table: edited(table, "in-shut", lambda there: [*rules, *there])))
    assert found.packet is None
    assert found.open


def test_an_interface_that_the_host_has_not_is_said_to_be_that(wanted):
    edit = inserted("forward", 1, "iifname eth7 drop")
    found, _ = decided(wanted, edit)
    assert (found.packet, found.open) == (
        None,
        ["only packets of an interface that this host has not would fare differently"],
    )
    assert decided(replace(wanted, others=("eth7",)), edit)[0].packet.iif == "eth7"


def test_without_a_route_that_leads_nowhere_nothing_is_said_of_addresses_that_nobody_has(wanted):
    edit = element("all4", "10.65.0.77", "")
    assert decided(replace(wanted, guarded=frozenset()), edit)[0].packet is not None


def test_an_error_is_about_a_flow_whose_ends_there_are(wanted):
    """Of an address that nobody has no flow is made, so conntrack takes an error about one for none."""
    edit = inserted("known", 3, f"oifgroup {API} accept")
    found, table = decided(wanted, edit)
    check_shown(found, table, wanted, Kind.ERROR, True)
    assert all(a in wanted.by_address or not wanted.in_range(a) for a in found.packet.flow), found.packet


def test_an_answer_is_of_no_flow_with_an_address_that_nobody_has(wanted):
    found, table = decided(wanted, element("source4", f"{NAMES[3]} . 10.65.0.77", ""))
    check_shown(found, table, wanted, Kind.ERROR, True)  # a forged one, about a flow of its own
    assert ip_address("10.65.0.77") not in found.packet.flow


@pytest.mark.parametrize("end", ["saddr", "daddr"])
def test_what_is_left_of_flows_with_an_address_that_was_given_back_is_not_known(wanted, end):
    found, _ = decided(wanted, inserted("known", 3, f"ct original ip {end} 10.65.0.77 accept"))
    assert found.packet is None
    assert found.open


@pytest.mark.parametrize("end", ["saddr", "daddr"])
def test_an_error_may_be_about_a_flow_with_the_hosts_own_address_in_a_range(wanted, end):
    own = ip_address("10.65.0.200")
    edit = inserted("known", 3, f"ct original ip {end} {own} accept")
    found, table = decided(replace(wanted, locals=(own,)), edit)
    check_shown(found, table, wanted, Kind.ERROR, True)
    assert own in found.packet.flow


@pytest.mark.parametrize("name", GUARDS)
def test_guards_are_read_from_their_words_as_nft_says_them(name):
    for line in GUARDS[name].rules:
        assert " ".join(rule_words(statements(line.split()))) == line


def test_a_rule_that_ends_by_what_was_counted_may_hold_or_not(wanted):
    quota = KernelRule(OURS, "forward", 1, ({"quota": {"val": 10, "val_unit": "mbytes"}}, {"drop": None}))
    table = edited(whole(wanted), "forward", lambda rules: [quota, *rules])
    packet = Packet(Kind.NEW, ip_address("10.65.0.1"), FAR, 6, NAMES[0], "up0", 49152, 80)
    assert {f.end for f in fates(table, packet)} == {End.DROP, End.THROUGH}


def test_who_is_in_a_network_s_group_and_no_endpoint_is_held_back_by_the_guards_alone(wanted):
    here = replace(wanted, others=ODD)
    found, _ = decided(here, deleted("foreign", 2))
    assert found.packet is not None, found.open
    assert found.packet.iif == "crkodd"
    found, _ = decided(wanted, deleted("foreign", 2))  # the host has none: one may come
    assert found.packet is None
    assert found.open == ["only packets of an interface that this host has not would fare differently"]
    found, _ = decided(here, element("endpoints", f"crkodd . {WEB}", ""))
    assert found.packet is not None, found.open
    assert "crkodd" in (found.packet.iif, found.packet.oif)


def test_a_group_is_asked_for_where_the_kernel_knows_it():
    packet = Packet(Kind.NEW, ip_address("10.65.0.1"), FAR, 6, "a", "b", groups=(1, 2))
    held = {
        (key, hook): holds({"op": "==", "left": {"meta": {"key": key}}, "right": n}, packet, {}, hook)
        for key, n in (("iifgroup", 1), ("oifgroup", 2))
        for hook in ("prerouting", "forward", "postrouting", "output")
    }
    assert [k for k, v in held.items() if v] == [
        ("iifgroup", "prerouting"),
        ("iifgroup", "forward"),
        ("iifgroup", "postrouting"),
        ("oifgroup", "forward"),
        ("oifgroup", "postrouting"),
        ("oifgroup", "output"),
    ]
    assert False not in held.values()


def test_of_a_pair_that_is_half_known_it_is_known_that_no_element_has_the_half():
    known = {"endpoints": Set("endpoints", ("ifname", "devgroup"), {"a . 1": ""})}
    left = {"concat": [{"meta": {"key": "iifname"}}, {"meta": {"key": "iifgroup"}}]}

    def held(ifname, op):
        packet = Packet(Kind.NEW, ip_address("10.65.0.1"), FAR, 6, ifname, "b")
        return holds({"op": op, "left": left, "right": "@endpoints"}, packet, known, "forward")

    assert [held("a", "=="), held("z", "=="), held("z", "!=")] == [None, False, None]


def test_more_parts_than_can_be_gone_through_is_not_proven(wanted, monkeypatch):
    monkeypatch.setattr("calico_rkt.plugin.attest.decide._MOST_PARTS", 300)
    found, _ = decided(wanted, deleted("egress", 2))
    assert found.packet is None
    assert found.open == ["it takes more than can be gone through to compare all packets"]
