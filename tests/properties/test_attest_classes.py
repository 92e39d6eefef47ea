"""Endpoints that stand for others: what is said of an edit is what is said when each of them is looked at."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.plugin.attest import decide as deciding
from calico_rkt.plugin.attest.classes import Fewer, classes
from calico_rkt.plugin.attest.oracle import Known, Wanted, right
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.reviewed import reviewed_table
from calico_rkt.plugin.attest.walk import fates
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support.attested import OVERRIDES, reviewed
from tests.table_edits import decided, deleted, element, inserted, moved, policy, whole

RANGES = tuple(map(ip_network, ("10.65.0.0/24", "fd65::/64")))
SIZE = 13
NAMES = [f"crk{n:012}" for n in range(1, SIZE + 1)]
OURS = {4: [str(RANGES[0][n]) for n in range(1, SIZE + 1)], 6: [str(RANGES[1][n]) for n in range(1, SIZE + 1)]}
GROUPS = [str(group_of(i)) for i in ("web", "shut")] + ["7"]
NETS = {4: ["10.65.0.0/29", "10.65.0.8/30", "203.0.113.0/24", "10.65.0.77"], 6: ["fd65::/125", "2001:db8::9"]}
GUARDS = {"prerouting": 5, "foreign": 7, "forward": 5, "strays": 4, "input": 7, "known": 8, "egress": 2, "ingress": 2}
some = st.sampled_from


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    overrides = {name: OVERRIDES[name] for name in ("web", "shut")}
    overrides["web"] = overrides["web"].replace("network: api", "network: shut")
    return reviewed(tmp_path_factory.mktemp("net.d"), overrides, RANGES)


@st.composite
def hosts(draw):
    """Sizes of two networks, and what a few endpoints have that others have not; a function of networks."""
    web = draw(st.integers(0, SIZE))
    masked, fresh = (draw(st.sets(st.integers(0, SIZE - 1), max_size=2)) for _ in range(2))
    others = draw(some([(), ("eth7",)]))
    endpoints = tuple(
        Known(
            f"c{n}",
            "web" if n < web else "shut",
            NAMES[n],
            tuple(r[n + 1] for r in RANGES),
            n in masked,
            n not in fresh,
        )
        for n in range(draw(st.integers(web, SIZE)))
    )
    return lambda networks: Wanted(networks, endpoints, RANGES, "up0", others=others)


@st.composite
def conditions(draw):
    version = draw(some([4, 6]))
    family = "ip" if version == 4 else "ip6"
    name, address = some([*NAMES, *NAMES, "crk*", "up0"]), some([*OURS[version], *NETS[version]])
    several = st.lists(name, min_size=1, max_size=7, unique=True).map(lambda n: f"{{ {' , '.join(n)} }}")
    way, end = draw(some(["iif", "oif"])), draw(some(["saddr", "daddr"]))
    return draw(
        st.one_of(
            st.builds("{}name {}".format, st.just(way), name),
            st.builds("{}name {}".format, st.just(way), several),
            st.builds("{}name != {}".format, st.just(way), name),
            st.builds("{}group {}".format, st.just(way), some(GROUPS)),
            st.builds("{} {} {}".format, st.just(family), st.just(end), address),
            st.builds("{} {} @{}{}".format, st.just(family), st.just(end), some(["all", "masq"]), st.just(version)),
            st.builds("{}name . {} {} @source{}".format, st.just(way), st.just(family), st.just(end), st.just(version)),
            st.builds("ct {} {} saddr {}".format, some(["original", "reply"]), st.just(family), address),
            st.builds("ct state {}".format, some(["1", "2", "4", "8"])),
            st.builds("{} dport {}".format, some(["tcp", "udp"]), some(["53", "80", "4711"])),
            st.just("meta l4proto 1"),
        )
    )


rules = st.builds(
    "{} {}".format,
    st.lists(conditions(), max_size=2).map(" ".join),
    some(["accept", "drop", "return"]),
)
chain, place, end = some([*GUARDS]), st.integers(0, 9), st.integers(0, SIZE - 1)
there = some([None, ""])


def at(change, chain, *places):
    """An edit of a chain at places that it has."""
    return change(chain, *(n % GUARDS[chain] + 1 for n in places))


def of_endpoint(name, version, n, to):
    return element(f"{name}{version}", OURS[version][n], to)


def of_pair(version, name, n, to):
    return element(f"source{version}", f"{name} . {OURS[version][n]}", to)


def of_group(name, group, to):
    return element("endpoints", f"{name} . {group}", to)


edits = st.one_of(
    *[st.builds(lambda name, n, rule: inserted(name, n % GUARDS[name] + 1, rule), chain, place, rules)] * 2,
    st.builds(at, st.just(deleted), chain, place),
    st.builds(at, st.just(moved), chain, place, place),
    st.builds(policy, some(["prerouting", "strays", "forward"])),
    st.builds(of_endpoint, some(["all", "masq"]), some([4, 6]), end, there),
    st.builds(of_pair, some([4, 6]), some(NAMES), end, there),
    st.builds(of_group, some(NAMES), some(GROUPS), there),
)


@settings(max_examples=12)
@given(made=hosts(), edit=edits)
def test_with_classes_an_edit_is_what_it_is_without(networks, made, edit):
    wanted = made(networks)
    found, _ = decided(wanted, edit)
    with mock.patch.object(deciding, "fewer", lambda tables, host: Fewer(tuple(tables), host)):
        each, table = decided(wanted, edit)
    assert (found.packet is None, found.packet is not None or found.open) == (
        each.packet is None,
        each.packet is not None or each.open,
    )
    if found.packet is not None and all(e.settled for e in wanted.endpoints):
        assert [f.end for f in fates(table, found.packet)] == [found.kernel]
        should = right(wanted, found.packet)
        assert should is None or should.end is not found.kernel


@settings(max_examples=60)
@given(made=hosts(), edit=edits, data=st.data())
def test_two_of_a_class_fare_alike_when_they_are_exchanged(networks, made, edit, data):
    wanted = made(networks)
    table = edit[1](whole(wanted))
    tables = table, reviewed_table(table, wanted)
    pairs = [c for c in classes(tables, wanted) if len(c) > 1]
    if not pairs:
        return
    one, other = data.draw(st.permutations(data.draw(some(pairs))))[:2]
    for _ in range(5):
        packet = data.draw(packets(wanted))
        turned = exchanged(packet, one, other)
        for each in tables:
            assert {f.end for f in fates(each, packet)} == {f.end for f in fates(each, turned)}


@st.composite
def packets(draw, wanted):
    version = draw(some([4, 6]))
    strange = [n[0] if "/" in str(n) else n.network_address for n in map(ip_network, NETS[version])]
    address = some([a for a in wanted.by_address if a.version == version] + strange)
    name = some([*wanted.by_ifname, "up0", ""])
    kind, protocol = draw(some(list(Kind))), draw(some([6, 17, 1, 58]))
    source, destination = draw(address), draw(address)
    flow = {Kind.REPLY: (destination, source), Kind.ERROR: (draw(address), draw(address))}.get(kind)
    dport = draw(some([53, 80, 4711]))
    return Packet(kind, source, destination, protocol, draw(name), draw(name), 49152, dport, flow=flow)


def exchanged(packet, one, other):
    """The packet with each of the two in the other's place."""
    own = [(one.ifname, other.ifname), *zip(one.addresses, other.addresses, strict=True)]
    to = dict(own) | {b: a for a, b in own}

    def turned(value):
        return to.get(value, value)

    return replace(
        packet,
        source=turned(packet.source),
        destination=turned(packet.destination),
        iif=turned(packet.iif),
        oif=turned(packet.oif),
        flow=None if packet.flow is None else tuple(map(turned, packet.flow)),
    )
