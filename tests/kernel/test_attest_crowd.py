"""A host of many endpoints in six networks: edits that change nothing are equal, others have a packet, all soon."""

from __future__ import annotations

import pytest

from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support.by_hand import T, deleted, moved, replaced
from tests.kernel.support.crowd import Crowd
from tests.kernel.support.namespaces import Lab

pytestmark = pytest.mark.kernel
SIZE, MANY, SECONDS = 70, 1000, 10
"""Endpoints; seconds of processor time."""
WEB, API, SHUT = map(group_of, ("web", "api", "shut"))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with Lab() as lab:
        yield Crowd(lab, tmp_path_factory.mktemp("crowd") / "net.d", SIZE)


HARMLESS = {
    # a redundant rule
    "a rule that is there already": f"nft add rule {T} strays ip daddr @all4 drop",
    "a rule that another one says for one endpoint": (
        f"nft insert rule {T} forward iifname E1 ct state new tcp dport 25 drop"
    ),
    "a port that is closed": f"nft insert rule {T} forward oifname E3 tcp dport 80 drop",
    "a port that is closed, for answers": (
        f"nft insert rule {T} forward oifgroup {API} udp sport 81 ct state established accept"
    ),
    "a verdict that the end has": f"nft insert rule {T} egress iifgroup 7 drop",
    "an address that nobody has": f"nft add element {T} all4 '{{ 10.65.200.1 }}'",
    "a group that nothing is in": f"nft add element {T} from_network '{{ 7 : goto out-web }}'",
    "an endpoint in a group that it is not in": f"nft add element {T} endpoints '{{ E9 . 7 }}'",
    "a mark that nobody gives": f"nft insert rule {T} input meta mark 7 accept",
    # a split element
    "a range in two parts": (
        f"nft delete element {T} pools4 '{{ 10.65.0.0/16 }}'; "
        f"nft add element {T} pools4 '{{ 10.65.0.0/17, 10.65.128.0/17 }}'"
    ),
    "a rule in two parts": f"{replaced('strays', 3, 'ip daddr @all4 meta l4proto tcp drop')}; "
    f"nft add rule {T} strays ip daddr @all4 meta l4proto != tcp drop",
    # a pair of rules that are apart, the other way round
    "the families of strays": (
        f"{replaced('strays', 3, 'ip6 daddr @all6 drop')}; {replaced('strays', 4, 'ip daddr @all4 drop')}"
    ),
    "the families of prerouting": moved("prerouting", 3, 'iifname "crk*" iifname . ip6 saddr @source6 accept'),
    # comments
    "a comment": f"""nft insert rule {T} in-web counter comment '"somebody was here"'""",
    "a rule with a comment": replaced("strays", 3, """ip daddr @all4 drop comment '"no strays"'"""),
    # what another rule hides
    "the end of egress": deleted("egress", 2),
    "the guard of strays": deleted("strays", 2),
}
HARMFUL = {
    "a port of one endpoint": f"nft insert rule {T} forward iifname E30 udp dport 4711 drop",
    "one endpoint to another": f"nft insert rule {T} forward iifname E7 oifname E19 accept",
    "a network to its own": f"nft insert rule {T} forward iifgroup {WEB} oifgroup {WEB} udp dport 53 drop",
    "another's address": f"nft add element {T} source4 '{{ E30 . 10.65.0.36 }}'",
    "an endpoint without its address": f"nft delete element {T} source4 '{{ E30 . 10.65.0.30 }}'",
    "an address that others may have": f"nft delete element {T} all4 '{{ 10.65.0.30 }}'",
    "an endpoint in no group": f"nft delete element {T} endpoints '{{ E30 . {group_of('net2')} }}'",
    "an endpoint in no set of its network": f"nft delete element {T} m6-web '{{ fd65::7 }}'",
    "an address that is translated": f"nft add element {T} masq4 '{{ 10.65.0.30 }}'",
    "answers of one endpoint": f"nft insert rule {T} forward ct state established iifname E30 drop",
    "errors about another's flow": deleted("known", 8),
    "errors of one about another's flow": (
        f"nft insert rule {T} known iifname E7 ct original ip saddr 10.65.0.19 accept"
    ),
    "what belongs to no flow": deleted("forward", 2),
    "a network by another's rules": (
        f"nft delete element {T} from_network '{{ {SHUT} }}'; "
        f"nft add element {T} from_network '{{ {SHUT} : goto out-web }}'"
    ),
    "a range, half of it": (
        f"nft delete element {T} pools4 '{{ 10.65.0.0/16 }}'; nft add element {T} pools4 '{{ 10.65.0.0/17 }}'"
    ),
    "jumps in another order": moved("forward", 4, "iifname crk* jump egress"),
    "a port of a network": f"nft insert rule {T} in-net1 tcp dport 22 return",
}


OF_MANY = {
    "": 0,
    "a rule that is there already": 0,
    "a port that is closed": 0,
    "a range in two parts": 0,
    "the guard of strays": 0,
    "another's address": 1,
    "errors about another's flow": 1,
    "an endpoint in no group": 1,
}
"""Edits that are tried on a host of a thousand endpoints, each with the status."""


def test_a_host_that_nobody_touched_is_equal(crowd):
    found, seconds = crowd.attest()
    assert (found.differences, found.open, found.status, found.endpoints) == ((), (), 0, SIZE)
    assert seconds < SECONDS


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_an_edit_that_changes_no_packet_s_way_is_equal(crowd, edit):
    found, seconds = crowd.edited(edit)
    assert (found.status, found.differences, found.open) == (0, (), ())
    assert seconds < SECONDS


@pytest.mark.parametrize("edit", HARMFUL.values(), ids=HARMFUL)
def test_an_edit_that_changes_one_is_a_difference_with_a_packet(crowd, edit):
    found, seconds = crowd.edited(edit)
    assert found.status == 1, found
    assert all(d.packet_words and d.kernel for d in found.differences), found
    assert seconds < SECONDS


def test_so_it_is_with_a_thousand(tmp_path):
    with Lab() as lab:
        crowd = Crowd(lab, tmp_path / "net.d", MANY)
        found = {"": crowd.attest()}
        found |= {name: crowd.edited(edit) for name, edit in (HARMLESS | HARMFUL).items() if name in OF_MANY}
    assert {name: one.status for name, (one, _) in found.items()} == OF_MANY
    assert max(seconds for _, seconds in found.values()) < SECONDS
