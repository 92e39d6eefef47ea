"""Elements as nft lists them: a comment is none of their value, a limit is."""

import doctest

import pytest

from calico_rkt.plugin.attest import bare
from calico_rkt.plugin.attest.bare import bare_element, bare_statement
from calico_rkt.plugin.attest.ruleset import Set, parsed

LEFT = {"meta": {"key": "iifname"}}
TABLE = {"table": {"family": "inet", "name": "fw", "handle": 1}}


def of_a_set(*elements, kind="set", **more) -> Set:
    body = {"family": "inet", "table": "fw", "name": "s", "type": "ipv4_addr", "handle": 4, "elem": [*elements], **more}
    return parsed([TABLE, {kind: body}]).tables["inet", "fw"].sets["s"]


def test_the_example_holds():
    assert doctest.testmod(bare).failed == 0


@pytest.mark.parametrize("more", [{"comment": "a . b"}, {"timeout": 60, "expires": 9}, {"counter": {"packets": 1}}])
def test_what_tells_no_packets_apart_is_left_out(more):
    assert bare_element({"elem": {"val": "eth0", **more}}) == "eth0"
    assert of_a_set({"elem": {"val": "10.0.0.1", **more}}).elements == {"10.0.0.1": ""}
    pair = [{"elem": {"val": "10.0.0.1", **more}}, {"drop": None}]
    assert of_a_set(pair, kind="map", map="verdict").elements == {"10.0.0.1": "drop"}


def test_an_element_that_holds_some_packets_is_no_value():
    limited = {"elem": {"val": "eth0", "limit": {"rate": 1}, "comment": "a . b"}}
    assert bare_element(limited) == {"elem": {"limit": {"rate": 1}, "val": "eth0"}}
    (key,) = of_a_set(limited).wide
    assert key.startswith("{")
    assert " . " not in key


def test_sets_and_maps_that_stand_in_a_rule_are_read_alike():
    named = {"elem": {"val": "eth0", "comment": "why"}}
    match = {"match": {"op": "==", "left": LEFT, "right": {"set": [named, "eth1"]}}}
    assert bare_statement(match)["match"]["right"] == {"set": ["eth0", "eth1"]}
    vmap = {"vmap": {"key": LEFT, "data": {"set": [[named, {"drop": None}]]}}}
    assert bare_statement(vmap)["vmap"]["data"] == {"set": [["eth0", {"drop": None}]]}
    assert bare_statement({"accept": None}) == {"accept": None}


def test_an_address_is_said_as_a_packet_s_is():
    assert of_a_set("::203.0.113.9", type="ipv6_addr").elements == {"::cb00:7109": ""}


@pytest.mark.parametrize("odd", [{"comment": "x"}, {"val": {"prefix": 5}, "comment": "x"}, {"val": 0.5}])
def test_an_element_without_a_value_is_a_shape_that_is_not_known(odd):
    body = {"family": "inet", "table": "fw", "name": "s", "type": "ipv4_addr", "elem": [{"elem": odd}]}
    assert ("inet", "fw") in parsed([TABLE, {"set": body}]).unread
    match = {"match": {"op": "==", "left": LEFT, "right": {"set": [{"elem": odd}]}}}
    chain = {"chain": {"family": "inet", "table": "fw", "name": "f", "handle": 1}}
    rule = {"rule": {"family": "inet", "table": "fw", "chain": "f", "handle": 3, "expr": [match]}}
    assert ("inet", "fw") in parsed([TABLE, chain, rule]).unread
