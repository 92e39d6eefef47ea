"""Questions to all packets: of a set of pairs only its own are asked for, and what comes out is the same."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.plugin.attest.asking import Question, field_of, pairs_of
from calico_rkt.plugin.attest.conditions import holds
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.ruleset import Set
from calico_rkt.plugin.attest.values import values_of
from tests.table_edits import element, inserted, whole

NAMES = ("crk1", "crk2", "crk3")
WORDS = (
    "iifname . ip saddr {}@pairs drop",
    "ip saddr . iifname {}@turned drop",
    "oifname . ip daddr {}@pairs drop",
    "iifname . ip daddr {}@pairs drop",
    "iifname . ct original ip saddr {}@pairs drop",
    "ip saddr . ip daddr {}@addresses drop",
    "iifname . oifname {}@names drop",
)


@pytest.fixture(scope="module")
def wanted():
    ends = tuple(
        Known(f"c{n}", "web", name, (ip_address(f"10.0.0.{n}"), ip_address(f"fd00::{n}")))
        for n, name in enumerate(NAMES, 1)
    )
    return Wanted({}, ends, (ip_network("10.0.0.0/24"),), "up0")


def spaces(wanted, words):
    """The question of a rule, and every kind of packets of both families."""
    chain, change = inserted("forward", 1, words)
    table = change(whole(wanted))
    more = {
        "pairs": ("crk1 . 10.0.0.1", "crk2 . 10.0.0.3", "crk9 . 10.0.0.1", "up0 . 203.0.113.9"),
        "turned": ("10.0.0.1 . crk1", "10.0.0.3 . crk2"),
        "addresses": ("10.0.0.1 . 10.0.0.2", "10.0.0.1 . 203.0.113.50"),
        "names": ("crk1 . crk2", "crk2 . up0"),
    }
    sets = table.sets | {name: Set(name, ("", ""), dict.fromkeys(keys, "")) for name, keys in more.items()}
    table = replace(table, sets=sets)
    match = table.chains[chain].rules[0].statements[0]["match"]
    for version in (4, 6):
        values = values_of((table,), wanted, version)
        for kind in Kind:
            yield match, Space(values, wanted, kind, version, {"kernel": table.sets}, {}, table.groups)


@pytest.mark.parametrize("op", ["", "!= "])
@pytest.mark.parametrize("words", WORDS)
def test_what_is_asked_of_the_pairs_of_a_set_is_what_is_asked_of_all(wanted, words, op):
    tried = 0
    for match, space in spaces(wanted, words.format(op)):
        asked = question(match, space)
        assert asked.pairs
        found = field_of(space, asked)
        assert found == field_of(space, replace(asked, pairs=None))
        tried += found is not None and any(inner for _, inner in found.fits)
    assert tried >= 3


def question(match, space):
    sets = space.sets["kernel"]
    names = space.fields(match["left"], "forward")
    return Question(names, lambda p: holds(match, p, sets, "forward"), pairs_of(match, sets))


def test_a_set_with_ranges_has_no_pairs_that_stand_for_it():
    left = {"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "ip", "field": "saddr"}}]}
    match = {"op": "==", "left": left, "right": "@s"}
    assert pairs_of(match, {"s": Set("s", ("", ""), {"crk1 . 10.0.0.1": ""})})
    assert pairs_of(match, {"s": Set("s", ("", ""), {"crk1 . 10.0.0.0/24": ""})}) is None
    assert pairs_of(match, {}) is None
    groups = {"concat": [{"meta": {"key": "iifgroup"}}, {"payload": {"protocol": "ip", "field": "saddr"}}]}
    assert pairs_of({**match, "left": groups}, {"s": Set("s", ("", ""), {"7 . 10.0.0.1": ""})}) is None


def test_a_map_sorts_senders_by_its_verdicts(wanted):
    _, change = element("from_network", "7", "goto out-web")
    table = change(whole(wanted))
    space = Space(
        values_of((table,), wanted, 4), wanted, Kind.NEW, 4, {"kernel": table.sets}, {}, {"crk1": 7, "crk2": 8}
    )
    groups = {7: "seven", 8: "eight", None: None}
    at, found = space.sorted_by("x", ("iif",), lambda p: groups[p.groups[0]])
    assert at == 0
    assert set(found) == {"seven", "eight", None}
    assert found["seven"] == space.those("iif", ("crk1",))
    assert sum(found.values()) == space.all[0]
    assert space.sorted_by("y", ("protocol", "dport"), lambda _: "") is None
