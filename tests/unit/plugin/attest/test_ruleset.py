"""Tables that nft lists in another shape than is known: unread, with the reason, and the others are read."""

import pytest

from calico_rkt.plugin.attest.ruleset import parsed

TABLE = {"table": {"family": "inet", "name": "fw", "handle": 1}}
CHAIN = {"chain": {"family": "inet", "table": "fw", "name": "f", "handle": 1}}
OTHER = {"table": {"family": "ip", "name": "nat", "handle": 2}}


def rule(*statements):
    return {"rule": {"family": "inet", "table": "fw", "chain": "f", "handle": 3, "expr": list(statements)}}


def match(left, right=7, op="=="):
    return {"match": {"op": op, "left": left, "right": right}}


def a_set(**more):
    return {"set": {"family": "inet", "table": "fw", "name": "s", "type": "ipv4_addr", "handle": 4, **more}}


@pytest.mark.parametrize(
    "odd",
    [
        rule({"match": 5}),
        rule({"match": {"left": {"meta": {"key": "mark"}}, "right": 7}}),
        rule(match({"meta": "mark"})),
        rule(match({"concat": 7})),
        rule(match({"payload": {"protocol": "tcp", "field": None}})),
        rule(match({"meta": {"key": "mark"}}, {"prefix": {"addr": "10.0.0.0"}})),
        rule({"jump": "f"}),
        rule({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["a"]]}}}),
        {"chain": {**CHAIN["chain"], "prio": "filter"}},
        a_set(elem=[{"range": ["10.0.0.1"]}]),
        a_set(flags=7),
        {"rule": {**rule()["rule"], "chain": "nowhere"}},
    ],
)
def test_a_table_in_another_shape_is_unread_and_the_others_are_not(odd):
    found = parsed([TABLE, CHAIN, odd, OTHER])
    assert set(found.tables) == {("ip", "nat")}
    assert "in a shape that is not known here" in found.unread["inet", "fw"]


def test_what_newer_nfts_say_besides_does_no_harm():
    listed = [
        {"table": {**TABLE["table"], "flags": ["owner", "persist"], "comment": "x"}},
        {"chain": {**CHAIN["chain"], "dev": ["eth0", "eth1"]}},
        rule(match({"payload": {"base": "th", "offset": 0, "len": 8}}), {"counter": None}, {"accept": None}),
        rule(match({"&": [{"meta": {"key": "mark"}}, 255]}), {"xt": None}),
        a_set(elem=[{"elem": {"val": "10.0.0.1", "timeout": 5}}], timeout=5),
    ]
    found = parsed(listed)
    assert not found.unread
    assert found.tables["inet", "fw"].flags == ("owner", "persist")
