"""Other people's tables as nft's JSON has them: what may keep packets of ours from their way is named."""

from ipaddress import ip_address

import pytest

from calico_rkt.compiler.ir.model import Action, Network, Rule
from calico_rkt.plugin.attest.elsewhere import elsewhere
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.ruleset import parsed

ENDS = tuple(
    Known(f"c{n}", "web", f"crk{n:012x}", (ip_address(f"10.1.0.{n}"), ip_address(f"fd00:1::{n}"))) for n in (2, 3)
)
WANTED = Wanted({"web": Network("web", "web", (Rule(Action.ALLOW),), (Rule(Action.ALLOW),))}, ENDS)


def ruleset(*statements, family="inet", hook="forward", policy="accept", more=()):
    place = {"family": family, "table": "fw"}
    chain = {"name": "f", "type": "filter", "hook": hook, "prio": 0, "policy": policy}
    return parsed(
        [
            {"table": {"family": family, "name": "fw"}},
            *({k: place | v} for one in more for k, v in one.items()),
            {"chain": place | chain},
            {"rule": place | {"chain": "f", "expr": list(statements)}},
        ]
    )


def match(key, right, op="=="):
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def address(field, right, protocol="ip"):
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


@pytest.mark.parametrize(
    "statement",
    [
        {"flow": {"op": "add", "flowtable": "@ft"}},
        {"notrack": None},
        {"xt": None},
        {"queue": {"num": 1}},
        {"tproxy": {}},
    ],
)
def test_what_nobody_can_judge_is_open_and_named(statement):
    found = elsewhere(ruleset(match("iifname", "crk*"), statement), WANTED)
    assert found.differences == ()
    assert [w for w in found.open if w.startswith("chain f of table inet fw, rule 1")]


@pytest.mark.parametrize(
    ("statements", "family", "hook"),
    [
        ((match("iifname", "docker0"), match("oifname", "eth0"), {"drop": None}), "inet", "forward"),
        ((match("iifname", "lo"), {"drop": None}), "inet", "input"),
        ((match("oifname", "eth0"), {"drop": None}), "inet", "output"),
        ((address("saddr", "172.17.0.2"), address("daddr", "172.18.0.2"), {"notrack": None}), "ip", "prerouting"),
        ((match("nfproto", 10), address("daddr", "10.0.0.1"), {"drop": None}), "inet", "forward"),
        (({"counter": {"packets": 1, "bytes": 2}}, {"accept": None}), "inet", "forward"),
        (({"masquerade": None},), "ip", "postrouting"),
    ],
)
def test_what_can_not_meet_ours_or_only_accepts_is_nothing(statements, family, hook):
    found = elsewhere(ruleset(*statements, family=family, hook=hook), WANTED)
    assert (found.differences, found.open) == ((), ())


def test_a_drop_that_only_some_of_ours_meet_has_one_of_them_as_witness():
    found = elsewhere(ruleset(address("daddr", {"prefix": {"addr": "10.1.0.2", "len": 31}}), {"drop": None}), WANTED)
    (one,) = found.differences
    assert one.witness.destination in (ip_address("10.1.0.2"), ip_address("10.1.0.3"))
    assert one.kernel == "is dropped"


def test_a_verdict_map_is_gone_through_with_all_that_it_may_say():
    pairs = [["eth0", {"accept": None}], ["crk000000000002", {"jump": {"target": "q"}}]]
    vmap = {"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": pairs}}}
    more = [{"chain": {"name": "q"}}, {"rule": {"chain": "q", "expr": [{"drop": None}]}}]
    found = elsewhere(ruleset(vmap, more=more), WANTED)
    assert any("chain q of table inet fw, rule 1: `drop` drops what may be" in w for w in found.open)


def test_a_host_without_endpoints_has_nothing_to_prove_of_others():
    found = elsewhere(ruleset({"drop": None}), Wanted(WANTED.networks, ()))
    assert (found.differences, found.open) == ((), ())
