from __future__ import annotations

import pytest

from calico_rkt.plugin.enforce.other_firewalls.blocked import judged
from calico_rkt.plugin.enforce.other_firewalls.read import from_iptables, from_nft


def iptables(*lines):
    return from_iptables("\n".join(lines), "iptables-legacy")


def found(*lines):
    return [f.what.split()[-3] for f in judged(*iptables(*lines))]


def test_a_listing_without_the_chain_is_no_firewall():
    assert iptables("-P INPUT DROP") == ()


@pytest.mark.parametrize(
    ("rules", "directions"),
    [
        ((), ["from", "to"]),
        (("-A FORWARD -j ACCEPT",), []),
        (("-A FORWARD -i crk+ -j ACCEPT",), ["to"]),
        (("-A FORWARD -i c+ -j ACCEPT", "-A FORWARD -o crk+ -j ACCEPT"), []),
        (("-A FORWARD ! -i eth0 -j ACCEPT",), ["to"]),
        (("-A FORWARD -i crk+ -p tcp -j ACCEPT",), ["from", "to"]),
        (("-A FORWARD -i crk+ -o eth0 -j ACCEPT",), ["from", "to"]),
        (("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",), ["from", "to"]),
        (('-A FORWARD -i crk+ -m comment --comment "by hand -j DROP" -j ACCEPT',), ["to"]),
        (("-A FORWARD -j DROP", "-A FORWARD -j ACCEPT"), ["from", "to"]),
        (("-A FORWARD -j LOG", "-A FORWARD -j ACCEPT"), []),
        (("-N X", "-A FORWARD -j X", "-A X -j RETURN", "-A X -j ACCEPT"), ["from", "to"]),
        (("-N X", "-A FORWARD -g X", "-A FORWARD -j ACCEPT"), ["from", "to"]),
        (("-N X", "-A FORWARD -j X", "-A X -j X", "-A FORWARD -j ACCEPT"), []),
    ],
)
def test_a_dropping_policy_counts_unless_a_rule_lets_ours_pass_for_sure(rules, directions):
    news = [r for r in rules if r.startswith("-N")]
    assert found("-P FORWARD DROP", *news, *(r for r in rules if r not in news)) == directions


def test_an_accepting_policy_behind_a_reject_counts_as_dropping():
    assert found("-P FORWARD ACCEPT", "-A FORWARD -j REJECT --reject-with icmp-port-unreachable") == ["from", "to"]
    assert found("-P FORWARD ACCEPT", "-A FORWARD -i eth0 -j REJECT") == []


def nft(*expressions, family="inet", policy="drop", table="filter", chain="forward"):
    place = {"family": family, "table": table}
    base = {"chain": {**place, "name": chain, "hook": "forward", "type": "filter", "policy": policy}}
    return from_nft([base, *({"rule": {**place, "chain": chain, "expr": e}} for e in expressions)])


def test_a_chain_on_another_hook_is_not_looked_at():
    assert from_nft([{"chain": {"family": "inet", "table": "f", "name": "i", "hook": "input", "policy": "drop"}}]) == ()


def test_a_verdict_map_is_read_key_by_key():
    def vmap(verdict):
        keys = [[key, {verdict: None}] for key in ("crk*", "lo")]
        return [{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": keys}}}]

    (chain,) = nft(vmap("accept"))
    assert [f.what.split()[-3] for f in judged(chain)] == ["to"]
    (chain,) = nft(vmap("drop"), policy="accept")
    assert [f.what.split()[-3] for f in judged(chain)] == ["from"]


def test_a_rule_for_one_family_leaves_the_other():
    only_v6 = {"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv6"}}
    (chain,) = nft([only_v6, {"accept": None}])
    assert all("ipv4 packets" in f.what for f in judged(chain))


@pytest.mark.parametrize(
    ("family", "table", "chain", "mend"),
    [
        ("ip", "filter", "FORWARD", "iptables -I FORWARD -i crk+ -j ACCEPT"),
        ("ip6", "filter", "FORWARD", "ip6tables -I FORWARD -i crk+ -j ACCEPT"),
        ("inet", "filter", "forward", "nft insert rule inet filter forward iifname '\"crk*\"' accept"),
    ],
)
def test_the_mend_is_in_the_words_of_whoever_owns_the_chain(family, table, chain, mend):
    (forwarding,) = nft(family=family, table=table, chain=chain)
    assert judged(forwarding)[0].mend == mend
