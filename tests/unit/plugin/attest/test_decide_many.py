"""Hosts of many endpoints: what changes no packet's way is proven to change none, what changes one is shown by it."""

import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from calico_rkt.plugin.attest.classes import OF_A_CLASS, classes, fewer
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.reviewed import reviewed_table
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support.attested import OVERRIDES, reviewed
from tests.kernel.support.crowd import RANGES, beside
from tests.table_edits import check_shown, decided, deleted, element, inserted, moved, policy, replaced, whole

MORE = beside(5)
SIZES = (40, 200)
SECONDS = 10
"""Of processor time; one edit takes some two."""
NAMES = [f"crk{n:012}" for n in range(1001)]
"""One is of web and has 10.65.0.1, two of api, three of shut; then the others in turn."""
WEB, API, SHUT, NET0 = (str(group_of(i)) for i in ("web", "api", "shut", "net0"))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return reviewed(tmp_path_factory.mktemp("net.d"), OVERRIDES | MORE, RANGES)


def host(networks, size):
    ids = [*OVERRIDES, *MORE]
    found = [(n, ids[(n - 1) % len(ids)]) for n in range(1, size + 1)]
    endpoints = (Known(f"c{n}", i, NAMES[n], (RANGES[0][n], RANGES[1][n]), ip_masq=i == "api") for n, i in found)
    return Wanted(networks, tuple(endpoints), RANGES, "up0")


def split(name, net, *parts):
    """A net of a set written as its parts."""

    def change(table):
        for to in (element(name, net), *(element(name, part, "") for part in parts)):
            table = to[1](table)
        return table

    return name, change


HARMLESS = {
    "a rule that stands there already": inserted("strays", 3, "ip daddr @all4 drop"),
    "a rule that another one says, for one endpoint": inserted("prerouting", 5, f"iifname {NAMES[7]} drop"),
    "a rule for a port that is closed there": inserted("in-shut", 1, "tcp dport 80 drop"),
    "a rule for a port of one endpoint that is closed": inserted("forward", 3, f"oifname {NAMES[3]} tcp dport 80 drop"),
    "a rule for one endpoint, of a port that its network does not send to": inserted(
        "forward", 5, f"iifname {NAMES[1]} tcp dport 25 drop"
    ),
    "a rule for two of a network, of a port that it does not send to": inserted(
        "forward", 5, f"iifname {{ {NAMES[1]} , {NAMES[9]} }} tcp dport 25 drop"
    ),
    "a rule for another's address by an endpoint's interface": inserted(
        "forward", 3, f"iifname {NAMES[1]} ip saddr 10.65.0.9 drop"
    ),
    "a rule for answers of a network that answers nobody": inserted(
        "forward", 1, f"iifname crk* iifgroup {SHUT} ct state 2 drop"
    ),
    "a rule for answers of a port that is closed": inserted(
        "forward", 1, f"oifgroup {API} udp sport 81 ct state 2 accept"
    ),
    "a rule for each of a few": inserted("input", 6, f"iifgroup {{ {API} , {SHUT} }} drop"),
    "a mark that nobody gives": inserted("input", 2, "meta mark 7 accept"),
    "elements split": split("pools4", "10.65.0.0/16", "10.65.0.0/17", "10.65.128.0/17"),
    "an element that another one has in it": element("pools4", "10.65.7.0/24", ""),
    "two rules for packets that are apart": moved("strays", 3, 4),
    "two rules for packets that are apart, in prerouting": moved("prerouting", 2, 3),
    "two rules for packets that are apart, of one chain of guards": moved("foreign", 4, 6),
    "the end of egress, whom everybody misses": deleted("egress", 2),
    "the guard of interfaces to leave by, of which each has its network": deleted("strays", 2),
    "a policy that no packet comes to": policy("prerouting"),
    "an endpoint in a group that it is not in": element("endpoints", f"{NAMES[9]} . {API}", ""),
    "a group that nothing is in": element("from_network", "7", "goto out-web"),
    "an address that nobody has": element("all4", "10.65.200.77", ""),
    "an end that another rule is": deleted("host-shut", 1),
    "an endpoint's address given to it as a condition": replaced(
        "prerouting", 2, "iifname . ip saddr @source4 ip saddr @all4 ip daddr != 127.0.0.0/8 accept"
    ),
}  # fmt: skip
HARMFUL = {
    "a rule for one endpoint": (inserted("forward", 1, f"iifname {NAMES[30]} tcp dport 4711 drop"), Kind.NEW, False),
    "a rule for what one sends to another": (
        inserted("forward", 1, f"iifname {NAMES[9]} oifname {NAMES[17]} accept"), None, True,
    ),
    "a rule for what a network sends to its own": (
        inserted("forward", 1, f"iifgroup {WEB} oifgroup {WEB} udp dport 53 drop"), Kind.NEW, False,
    ),
    "another's address": (element("source4", f"{NAMES[30]} . 10.65.0.31", ""), None, True),
    "an endpoint without its address": (element("source4", f"{NAMES[30]} . 10.65.0.30"), None, False),
    "an endpoint whose address others may have": (element("all4", "10.65.0.30"), None, True),
    "an endpoint that is in no group": (element("endpoints", f"{NAMES[30]} . {group_of('net2')}"), None, False),
    "an address that is translated": (element("masq4", "10.65.0.30", ""), Kind.NEW, True),
    "answers of one endpoint": (inserted("forward", 1, f"ct state 2 iifname {NAMES[30]} drop"), None, False),
    "what goes on, of a flow that was answered": (
        inserted("known", 1, f"iifname {NAMES[1]} oifname up0 tcp dport 81 drop"), Kind.LATER, False,
    ),
    "errors about another's flow": (deleted("known", 8), Kind.ERROR, True),
    "errors of one endpoint about another's flow": (
        inserted("known", 4, f"iifname {NAMES[9]} ct original ip saddr 10.65.0.17 accept"), Kind.ERROR, True,
    ),
    "what belongs to no flow": (deleted("forward", 2), Kind.INVALID, True),
    "a network that goes by another's rules": (element("from_network", SHUT, "goto out-net0"), None, True),
    "a network whose host is not reached": (element("network_to_host", WEB), Kind.NEW, False),
    "elements split, and one part lost": (split("pools4", "10.65.0.0/16", "10.65.0.0/17"), None, None),
    "two rules in another order": (moved("forward", 4, 1), None, None),
    "a guard": (deleted("prerouting", 5), None, True),
    "addresses that nobody has": (deleted("foreign", 5), None, True),
}  # fmt: skip


def at_sizes(edits):
    """Each edit on a host of a thousand endpoints, and in turn on one of a smaller size."""
    names = [(size, name) for n, name in enumerate(edits) for size in (SIZES[n % len(SIZES)], 1000)]
    return pytest.mark.parametrize(("size", "name"), names)


@at_sizes(HARMLESS)
def test_what_changes_no_packet_s_way_is_proven_to_change_none(networks, size, name):
    begun = time.process_time()
    found, _ = decided(host(networks, size), HARMLESS[name])
    assert (found.packet, found.open) == (None, [])
    assert time.process_time() - begun < SECONDS


@at_sizes(HARMFUL)
def test_what_changes_one_is_shown_by_a_packet_that_fares_differently(networks, size, name):
    edit, kind, passes = HARMFUL[name]
    begun, wanted = time.process_time(), host(networks, size)
    found, table = decided(wanted, edit)
    check_shown(found, table, wanted, kind, passes)
    assert time.process_time() - begun < SECONDS


def test_a_host_is_as_large_as_it_has_networks(networks):
    many = host(networks, 1000)
    table = whole(many)
    few = fewer((table, table), many)
    assert len(few.wanted.endpoints) == OF_A_CLASS * len(OVERRIDES | MORE)
    assert len(few.gone) + len(few.wanted.endpoints) == 1000
    assert few.tables[0].sets == whole(few.wanted).sets


def test_a_network_of_many_rules_is_not_gone_into_for_what_others_are_asked(tmp_path):
    rules = "".join(
        f"  - {{action: {'Allow' if n % 3 else 'Deny'}, protocol: TCP, "
        f"source: {{nets: [198.18.{n % 250}.{n // 250 * 8}/29]}}, destination: {{ports: [{1000 + n}]}}}}\n"
        for n in range(1000)
    )
    many = reviewed(tmp_path / "net.d", OVERRIDES | MORE | {"net0": f"network: net0\ningress:\n{rules}"}, RANGES)
    begun = time.process_time()
    found, _ = decided(host(many, 100), HARMLESS["a rule for two of a network, of a port that it does not send to"])
    assert (found.packet, found.open) == (None, [])
    assert time.process_time() - begun < SECONDS


ALONE = {
    "by a rule with its name": inserted("forward", 1, f"iifname {NAMES[9]} drop"),
    "by a rule with its address": inserted("forward", 1, "ip6 saddr fd65::9 drop"),
    "by a set that it is not in": element("all4", "10.65.0.9"),
    "by a set that others of it are not in": element("masq4", "10.65.0.9", ""),
    "by a pair with what nobody has": element("source4", f"{NAMES[9]} . 203.0.113.1", ""),
    "by a group": element("endpoints", f"{NAMES[9]} . 7", ""),
    "by a pattern": inserted("forward", 1, f"iifname {NAMES[9]}* drop"),
    "by a net": inserted("forward", 1, "ip saddr 10.65.0.9/32 drop"),
}


@pytest.mark.parametrize("edit", ALONE.values(), ids=ALONE)
def test_who_is_told_apart_stands_for_itself(networks, edit):
    assert [NAMES[9]] in told_apart(networks, edit)


def test_who_is_named_with_another_stands_for_itself_and_so_does_the_other(networks):
    found = told_apart(networks, element("source4", f"{NAMES[9]} . 10.65.0.17", ""))
    assert [NAMES[9]] in found
    assert [NAMES[17]] in found


@pytest.mark.parametrize(
    "change",
    [
        {"network_id": "api"},
        {"ip_masq": True},
        {"settled": False},
        {"addresses": (ip_address("10.65.0.9"),)},
        {"addresses": (ip_address("10.66.0.9"), ip_address("fd65::9"))},
        {"addresses": (ip_address("192.0.2.1"), ip_address("fd65::9"))},
        {"addresses": (ip_address("169.254.0.9"), ip_address("fd65::9"))},
        {"addresses": (ip_address("10.65.0.17"), ip_address("fd65::9"))},
        {"ifname": "veth7"},
    ],
)
def test_who_has_something_else_is_of_another_class(networks, change):
    wanted = host(networks, 80)
    one = replace(wanted.endpoints[8], **change)
    wanted = replace(wanted, endpoints=(*wanted.endpoints[:8], one, *wanted.endpoints[9:]))
    table = whole(wanted)
    same = next(c for c in classes((table, table), wanted) if one in c)
    assert {e.network_id for e in same} == {one.network_id}
    assert len(same) == 1


def told_apart(networks, edit):
    wanted = host(networks, 80)
    table = edit[1](whole(wanted))
    found = classes((table, reviewed_table(table, wanted)), wanted)
    return [[e.ifname for e in members] for members in found]
