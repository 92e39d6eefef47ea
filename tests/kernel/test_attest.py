"""Somebody changes the table: each edit is found, most with a packet that shows it."""

from __future__ import annotations

import re

import pytest

from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support import enforce_world as w
from tests.kernel.support.attested import Attested
from tests.kernel.support.by_hand import T, deleted, moved, rehooked, replaced
from tests.kernel.support.namespaces import Lab

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with Lab() as lab:
        yield Attested(lab, tmp_path_factory.mktemp("attested") / "net.d")


WEB, SHUT = map(group_of, ("web", "shut"))
TO_WEB = f"'{{ {SHUT} : goto out-web }}'"
DIFFERENT = [
    # a rule inserted
    (f"nft insert rule {T} in-web tcp dport 22 return", "chain in-web, rule 1: `tcp dport 22 return`"),
    (f"nft insert rule {T} out-web drop", "chain out-web, rule 1: `drop`"),
    (f"nft insert rule {T} out-shut ip daddr 192.0.2.77 return", "chain out-shut, rule 1"),
    (f"nft insert rule {T} in-web ip6 saddr 2001:db8:5::/64 return", "chain in-web, rule 1"),
    (f"nft insert rule {T} out-web tcp dport 7 accept", "chain out-web, rule 1: `tcp dport 7 accept`"),
    (f"nft insert rule {T} forward ip saddr 203.0.113.0/24 accept", "chain forward, rule 1"),
    (f"nft insert rule {T} prerouting accept", "chain prerouting, rule 1: `accept` should not be there"),
    (f"nft insert rule {T} input tcp dport 22 accept", "chain input, rule 1"),
    (f"nft insert rule {T} known drop", "chain known, rule 1"),
    # deleted
    (deleted("in-web", 2), "chain in-web"),
    (deleted("out-web", 1), "chain out-web"),
    (deleted("prerouting", 5), "chain prerouting, rule 5: `drop` should be there"),
    (
        deleted("foreign", 1),
        "chain foreign, rule 1: `iifname crk* iifname . iifgroup @endpoints accept` should be there",
    ),
    (deleted("foreign", 4), "chain foreign, rule 4: `ip saddr @all4 drop` should be there"),
    (deleted("foreign", 5), "chain foreign, rule 5"),
    (deleted("strays", 1), "chain strays, rule 1: `oifname crk* oifname . oifgroup @endpoints accept` should be there"),
    (deleted("strays", 3), "chain strays, rule 3"),
    (deleted("forward", 2), "chain forward, rule 2: `ct state 1 drop` should be there"),
    (deleted("forward", 4), "chain forward, rule 4: `iifname crk* jump egress` should be there"),
    (deleted("known", 1), "chain known, rule 1: `ct state 2 accept` should be there"),
    (deleted("known", 8), "chain known, rule 8"),
    (deleted("input", 4), "chain input, rule 4"),
    (deleted("input", 1), "chain input, rule 1: `iifname != crk* accept` should be there"),
    (deleted("postrouting", 1), "chain postrouting, rule 1"),
    # replaced, a verdict changed
    (replaced("in-web", 4, "udp dport != 53 return"), "chain in-web, rule 4: `udp dport != 53 return`"),
    (replaced("in-web", 3, "ip saddr 198.51.100.0/25 drop"), "chain in-web"),
    (replaced("in-shut", 1, "return"), "chain in-shut, rule 1: `return`"),
    (replaced("host-api", 1, "accept"), "chain host-api says `accept`, and endpoint_to_host is drop"),
    (replaced("egress", 1, "iifgroup vmap @to_network"), "chain egress, rule 1"),
    # moved
    (moved("out-web", 3, "return"), "chain out-web"),
    (moved("input", 2, "ct state invalid drop"), "chain input, rule 1: `ct state 1 drop` should not be there"),
    (moved("forward", 5, 'oifname "crk*" jump ingress'), "chain forward"),
    # a chain flushed, or changed as a whole
    (f"nft flush chain {T} in-shut", "chain in-shut"),
    (f"nft flush chain {T} forward", "chain forward, rule 1"),
    (
        f"nft add chain {T} strays '{{ policy drop; }}'",
        "chain strays has type filter hook forward priority 0 policy drop",
    ),
    (rehooked("strays", "type filter hook forward priority 10; policy drop"), "chain strays has"),
    (rehooked("foreign", "type filter hook forward priority -5; policy accept"), "chain foreign has"),
    (f"nft add chain {T} more '{{ type filter hook forward priority 5; policy drop; }}'", "chain more is none of ours"),
    # elements
    (f"nft add element {T} m4-api '{{ 203.0.113.50 }}'", "set m4-api has what no endpoint or range here has"),
    (f"nft delete element {T} m6-api '{{ API_6 }}'", "set m6-api lacks"),
    (f"nft add element {T} all4 '{{ 203.0.113.50 }}'", "set all4 has"),
    (f"nft delete element {T} all6 '{{ WEB1_6 }}'", "set all6 lacks"),
    (f"nft delete element {T} all4 '{{ WEB1_4 }}'", "set all4 lacks"),
    (f"nft add element {T} source4 '{{ WEB1 . 203.0.113.50 }}'", "set source4 has"),
    (f"nft delete element {T} source6 '{{ WEB1 . WEB1_6 }}'", "set source6 lacks"),
    (f"nft add element {T} masq4 '{{ WEB1_4 }}'", "set masq4 has"),
    (f"nft delete element {T} masq6 '{{ API_6 }}'", "set masq6 lacks"),
    (f"nft add element {T} pools4 '{{ 203.0.113.0/24 }}'", "set pools4 has"),
    (f"nft delete element {T} pools6 '{{ fd65::/64 }}'", "set pools6 lacks"),
    (f"nft delete element {T} endpoints '{{ WEB1 . {WEB} }}'", "set endpoints lacks"),
    (f"nft delete element {T} from_network '{{ {WEB} }}'", "map from_network lacks"),
    (f"nft delete element {T} to_network '{{ {WEB} }}'", "map to_network lacks"),
    (f"nft delete element {T} network_to_host '{{ {WEB} }}'", "map network_to_host lacks"),
    (
        f"nft delete element {T} from_network '{{ {SHUT} }}'; nft add element {T} from_network {TO_WEB}",
        "map from_network lacks",
    ),
    # an element for all keys that no other one has
    (
        (
            f"nft delete element {T} from_network '{{ {SHUT} }}'; "
            f"nft add element {T} from_network '{{ * : goto out-web }}'"
        ),
        "map from_network lacks",
    ),
    (
        f"nft delete element {T} to_network '{{ {SHUT} }}'; nft add element {T} to_network '{{ * : return }}'",
        "map to_network lacks",
    ),
    # what goes on behind a verdict that decides nothing
    (f"nft insert rule {T} in-web continue drop", "chain in-web, rule 1: `continue drop`"),
    # a map by name that holds nets
    (
        (
            f"nft add map {T} nets '{{ type ipv4_addr : verdict; flags interval; }}'; "
            f"nft add element {T} nets '{{ 203.0.113.0/24 : drop }}'; nft insert rule {T} in-web ip saddr vmap @nets"
        ),
        "chain in-web, rule 1: `ip saddr vmap @nets`",
    ),
    # the family by what the frame says
    (f"nft insert rule {T} out-web meta protocol ip drop", "chain out-web, rule 1"),
    (f"nft insert rule {T} out-web meta protocol '{{ ip6, vlan }}' drop", "chain out-web, rule 1"),
    (f"nft insert rule {T} forward meta protocol != ip accept", "chain forward, rule 1"),
    # an interface by its number, which no other host has
    (f"nft insert rule {T} out-web oif up0 drop", "chain out-web, rule 1: `oif up0 drop`"),
    # in a pattern of names only the last `*` stands for others
    (f"nft insert rule {T} prerouting iifname != '\"c?k*\"' accept", "chain prerouting, rule 1"),
    # an element with a comment holds what it holds without one
    (f"nft add element {T} all4 '{{ 203.0.113.50 comment \"why\" }}'", "set all4 has"),
    (
        (
            f"nft delete element {T} from_network '{{ {SHUT} }}'; "
            f"nft add element {T} from_network '{{ {SHUT} comment \"why\" : goto out-web }}'"
        ),
        "map from_network lacks",
    ),
    (
        (
            f"nft add set {T} s '{{ type ifname; elements = {{ WEB1 comment \"why\" }}; }}'; "
            f"nft insert rule {T} prerouting iifname @s drop"
        ),
        "chain prerouting, rule 1",
    ),
    (f"nft insert rule {T} prerouting iifname '{{ WEB1 comment \"why\", WEB2 }}' drop", "chain prerouting, rule 1"),
    # nft says the last 32 bits of such an address as IPv4 does
    (f"nft add element {T} all6 '{{ ::203.0.113.50 }}'", "set all6 has"),
    # two maps in a rule
    (
        f"nft insert rule {T} forward meta l4proto vmap '{{ 6 : continue }}' tcp dport vmap '{{ 80 : drop }}'",
        "chain forward, rule 1",
    ),
    # both families
    (f"nft insert rule {T} forward meta nfproto '{{ ipv4, ipv6 }}' drop", "chain forward, rule 1"),
    # the table
    (f"nft delete table {T}", f"the nftables table {T} is not in the kernel"),
    ("nft flush ruleset", f"the nftables table {T} is not in the kernel"),
    (f"nft add table {T} '{{ flags dormant; }}'", f"the nftables table {T} is dormant"),
]

HIDDEN = [
    # what other rules hide: no packet of these endpoints fares differently
    (f"nft delete element {T} m4-shut '{{ SHUT_4 }}'", "set m4-shut lacks"),
    (deleted("egress", 2), "chain egress, rule 2: `drop` should be there"),
    (deleted("strays", 2), "chain strays, rule 2: `oifname crk* drop` should be there"),
    (f"nft add element {T} endpoints '{{ WEB1 . 7 }}'", "set endpoints has what no endpoint or range here has: crk"),
    (f"nft add element {T} from_network '{{ 7 : goto out-web }}'", "map from_network has"),
    (deleted("ingress", 2), "chain ingress, rule 2: `drop` should be there"),
    (replaced("host-shut", 1, "accept"), "chain host-shut says `accept`, and endpoint_to_host is drop"),
    (f"nft flush chain {T} host-web", "chain host-web says `nothing`, and endpoint_to_host is accept"),
    (f"nft add element {T} all4 '{{ 10.65.0.77 }}'", "set all4 has"),
    (f"nft add chain {T} prerouting '{{ policy drop; }}'", "chain prerouting has type filter hook prerouting"),
    (f"nft delete element {T} network_to_host '{{ {SHUT} }}'", "map network_to_host lacks"),
    (moved("foreign", 3, "iifname lo accept"), "chain foreign, rule 1: `iifname lo accept` should not be there"),
    (
        replaced("egress", 2, "meta nfproto ipv4 return"),
        "chain egress, rule 2: `meta nfproto ipv4 return` should be `drop`",
    ),
    # no packet leaves for the host's own address, or comes from it
    (f"nft add element {T} all4 '{{ {w.HOST[4]} }}'", "set all4 has"),
    # nothing here gives packets a mark
    (f"nft insert rule {T} in-shut meta mark 5 return", "chain in-shut, rule 1: `mark 5 return`"),
    (f"nft insert rule {T} input meta mark 7 accept", "chain input, rule 1: `mark 7 accept` should not be there"),
]
OPEN = [
    # an interface of ours by its name, in a network's group, that the host has not: one may come
    (deleted("foreign", 2), "chain foreign, rule 2: `iifname crk* drop` should be there"),
    # what is asked of a packet is not known
    (f"nft insert rule {T} in-web ct zone 3 drop", "chain in-web, rule 1"),
    # packets go out with a source that nobody reviewed
    (
        f"nft insert rule {T} postrouting oifname up0 ip saddr @masq4 snat to 203.0.113.77",
        "chain postrouting, rule 1",
    ),
    # a map in the middle of a rule
    (
        f"nft insert rule {T} in-web tcp dport vmap '{{ 8000 : continue }}' drop",
        "chain in-web, rule 1: `tcp dport vmap { 8000 : continue } drop`",
    ),
    # what nft leaves out of its listing
    (
        f"nft insert rule {T} in-web meta nfproto ipv4 meta l4proto 1 log",
        "chain in-web, rule 1 has more than nft lists",
    ),
    # an element that holds some packets
    (
        (
            f"nft add set {T} s '{{ type ipv4_addr; limit rate 1/second; elements = {{ 203.0.113.50 }}; }}'; "
            f"nft insert rule {T} in-web ip saddr @s drop"
        ),
        "chain in-web, rule 1",
    ),
    # nft lists a name that ends with `*` as a pattern
    (
        (
            f"nft add set {T} s '{{ type ifname; flags interval; elements = {{ \"crk\\*\" }}; }}'; "
            f"nft insert rule {T} host-api iifname @s accept"
        ),
        "set s has other names than nft lists",
    ),
    # what chance decides is decided anew each time
    (
        (
            f"nft insert rule {T} in-shut numgen random mod 2 0 return; "
            f"nft insert rule {T} in-shut numgen random mod 2 0 drop"
        ),
        "chain in-shut, rule 1",
    ),
    (
        (
            f"nft add set {T} s '{{ type ipv4_addr; limit rate 1/second; elements = {{ WEB1_4 }}; }}'; "
            f"nft insert rule {T} in-shut ip saddr @s return; nft insert rule {T} in-shut ip saddr @s drop"
        ),
        "chain in-shut, rule 1",
    ),
    # who has an option of TCP is not known
    (f"nft insert rule {T} in-web tcp option maxseg size set 500 drop", "chain in-web, rule 1"),
    # only the first piece of a packet has ports
    (
        f"nft insert rule {T} prerouting meta l4proto != '{{ tcp, udp, sctp }}' iifname . ip saddr @source4 accept; "
        + "; ".join(
            f"nft insert rule {T} prerouting {p} dport 1-65535 iifname . ip saddr @source4 accept; "
            f"nft insert rule {T} prerouting {p} dport 0 iifname . ip saddr @source4 accept"
            for p in ("tcp", "udp", "sctp")
        )
        + f"; {deleted('prerouting', 9)}",
        "chain prerouting, rule",
    ),
]
ALIKE = [
    f"nft insert rule {T} in-web counter",
    f"nft insert rule {T} in-web tcp dport 80 log",
    f"nft add rule {T} in-shut return",
    f"nft insert rule {T} out-web ip daddr 169.254.169.254 drop",
    f"nft insert rule {T} known ct state new counter log",
    f"nft add chain {T} idle; nft add rule {T} idle accept",
    replaced("in-shut", 1, "drop"),
    f"nft delete element {T} all4 '{{ WEB1_4 }}'; nft add element {T} all4 '{{ WEB1_4 comment \"why\" }}'",
    f"nft insert rule {T} forward meta nftrace set 1",
    f"nft insert rule {T} in-web tcp flags syn tcp option maxseg size set rt mtu",
    # conntrack has no entry for these: an expression on its ends ends the rule
    f"nft insert rule {T} in-web ct original ip6 saddr != 2001:db8::1 icmpv6 type 130 drop",
    # chains of nat are asked about what begins a flow: neighbours and listeners are none
    f"nft insert rule {T} postrouting icmpv6 type '{{ 135, 143 }}' drop",
    f"nft add chain {T} idle '{{ type filter hook prerouting priority -450; }}'",
]

OTHERS = {
    "drops by names with a comment": (
        (
            'table inet fw { set s { type ifname; elements = { "WEB1" comment "why" }; }; '
            "chain f { type filter hook forward priority 0; iifname @s drop; } }"
        ),
        1,
        "chain f of table inet fw, rule 1",
    ),
    "drops both families": (
        "table inet fw { chain f { type filter hook forward priority 0; meta nfproto { ipv4, ipv6 } drop; } }",
        1,
        "chain f of table inet fw, rule 1",
    ),
    # another table that drops, earlier or later
    "drops later": (
        "table inet fw { chain f { type filter hook forward priority 10; policy drop; ct state established accept; } }",
        1,
        "chain f of table inet fw drops what the review allows",
    ),
    "drops earlier": (
        "table ip fw { chain p { type filter hook prerouting priority -400; ip saddr 203.0.113.0/24 drop; } }",
        1,
        "chain p of table ip fw, rule 1: `ip saddr 203.0.113.0/24 drop`",
    ),
    "drops to the host": (
        "table inet fw { chain i { type filter hook input priority 0; policy drop; iifname lo accept; } }",
        1,
        "chain i of table inet fw drops what the review allows",
    ),
    "drops a port by a jump": (
        (
            "table inet fw { chain q { tcp dport 80 drop; }; chain f { type filter hook forward priority -1; "
            "oifname crk* jump q; } }"
        ),
        1,
        "chain q of table inet fw, rule 1: `tcp dport 80 drop`",
    ),
    # and accepts, or concerns nobody of ours
    "accepts earlier": (
        (
            "table inet fw { chain f { type filter hook forward priority -10; policy accept; iifname crk* "
            "accept; accept; } }"
        ),
        0,
        "",
    ),
    "accepts ours, drops others": (
        (
            "table inet fw { chain f { type filter hook forward priority 0; policy drop; iifname crk* accept; "
            "oifname crk* accept; } }"
        ),
        0,
        "",
    ),
    "drops between others": (
        (
            "table inet fw { chain f { type filter hook forward priority 0; iifname docker0 oifname eth1 drop; "
            "ip saddr 172.17.0.0/16 ip daddr 172.18.0.0/16 drop; } }"
        ),
        0,
        "",
    ),
    "translates others": (
        (
            "table ip nat { chain o { type nat hook postrouting priority 100; ip saddr 172.17.0.0/16 oifname != "
            "docker0 masquerade; } }"
        ),
        0,
        "",
    ),
    # what is masqueraded has the host's address on its way out, and so have its answers
    "drops answers before they are translated back": (
        "table inet fw { chain p { type filter hook prerouting priority -300; iifname up0 ip daddr HOST_4 drop; } }",
        3,
        "chain p of table inet fw, rule 1",
    ),
    "drops what is translated": (
        "table ip fw { chain p { type filter hook postrouting priority 300; oifname up0 ip saddr HOST_4 drop; } }",
        3,
        "chain p of table ip fw, rule 1",
    ),
    "maps a port of the host's": (
        (
            "table ip fw { chain p { type nat hook prerouting priority -100; iifname up0 ip daddr HOST_4 tcp dport 80 "
            "dnat to 10.9.9.9:80; } }"
        ),
        0,
        "",
    ),
    "drops what the host itself is asked": (
        "table ip fw { chain p { type filter hook input priority 0; ip daddr HOST_4 tcp dport 23 iifname up0 drop; } }",
        0,
        "",
    ),
    "sets the size of segments": (
        (
            "table inet fw { chain f { type filter hook forward priority -150; tcp flags syn tcp option maxseg size "
            "set rt mtu; meta nftrace set 1; } }"
        ),
        0,
        "",
    ),
    # what can't be decided
    "notrack": (
        "table inet raw { chain p { type filter hook prerouting priority -300; udp dport 53 notrack; } }",
        3,
        "chain p of table inet raw, rule 1: `udp dport 53 notrack` does what can't be judged here",
    ),
    "marks": (
        "table inet m { chain p { type filter hook prerouting priority -150; iifname crk* meta mark set 7; } }",
        3,
        "chain p of table inet m, rule 1",
    ),
    "drops by some bits of a mark": (
        "table inet m { chain f { type filter hook forward priority 0; meta mark and 0xff == 7 drop; } }",
        3,
        "chain f of table inet m, rule 1",
    ),
    "drops by a mark with a mask": (
        "table inet m { chain f { type filter hook forward priority 0; meta mark 0x7/0xf drop; } }",
        3,
        "chain f of table inet m, rule 1",
    ),
    "drops by a mark": (
        "table inet m { chain f { type filter hook forward priority 0; meta mark 7 drop; } }",
        3,
        "chain f of table inet m, rule 1: `mark 7 drop` drops what may be IPv4 packets from endpoints",
    ),
    "zones": (
        "table inet z { chain p { type filter hook prerouting priority -300; ct zone set 5; } }",
        3,
        "chain p of table inet z, rule 1",
    ),
    "another's address": (
        "table ip nat { chain p { type nat hook prerouting priority -100; tcp dport 80 dnat to 10.9.9.9; } }",
        3,
        "chain p of table ip nat, rule 1",
    ),
    "on a device": (
        "table netdev d { chain i { type filter hook ingress device up0 priority 0; udp dport 9 drop; } }",
        3,
        "chain i of table netdev d, rule 1: `udp dport 9 drop` (hook ingress",  # nft 1.0.6 does not say of which device
    ),
    "on a device, in a table of inet": (
        "table inet d { chain i { type filter hook ingress device up0 priority 0; udp dport 9 drop; } }",
        3,
        "chain i of table inet d, rule 1: `udp dport 9 drop` (hook ingress",
    ),
    "on a device, by its policy": (
        "table inet d { chain i { type filter hook ingress device up0 priority 0; policy drop; } }",
        3,
        "chain i of table inet d (hook ingress",
    ),
    "on a device, by a map": (
        (
            "table netdev d { chain i { type filter hook egress device up0 priority 0; ip daddr vmap { 10.9.0.0/16 : "
            "drop }; } }"
        ),
        3,
        "chain i of table netdev d, rule 1: `ip daddr vmap",
    ),
    "on a device, by a map with a name": (
        (
            "table netdev d { map m { type ipv4_addr : verdict; elements = { 10.9.0.1 : drop }; }; chain i { type "
            "filter hook egress device up0 priority 0; ip daddr vmap @m; } }"
        ),
        3,
        "chain i of table netdev d, rule 1: `ip daddr vmap @m`",
    ),
    "neighbours, by a map": (
        "table arp d { chain i { type filter hook input priority 0; arp operation vmap { request : drop }; } }",
        3,
        "chain i of table arp d, rule 1: `arp operation vmap",
    ),
    "on a device, lets through": (
        (
            "table inet d { chain i { type filter hook ingress device up0 priority 0; udp dport vmap { 9 : accept, "
            "10 : jump q }; }; chain q { counter return; }; chain other { drop; } }"
        ),
        0,
        "",
    ),
    "drops behind a verdict that decides nothing": (
        "table inet fw { chain f { type filter hook forward priority 0; continue drop; } }",
        1,
        "chain f of table inet fw, rule 1: `continue drop` drops what the review allows",
    ),
    "drops by the family of the frame": (
        "table inet fw { chain f { type filter hook forward priority 0; meta protocol ip drop; } }",
        1,
        "chain f of table inet fw, rule 1",
    ),
    "drops by a pattern that is none": (
        'table inet fw { chain f { type filter hook forward priority 0; iifname != "c?k*" drop; } }',
        1,
        "chain f of table inet fw, rule 1",
    ),
    "is dormant": (
        "table inet fw { flags dormant; chain f { type filter hook forward priority 0; policy drop; } }",
        0,
        "",
    ),
    "has an object whose policy is no chain's": (
        "table inet fw { ct timeout t { protocol tcp; policy = { established : 60 }; }; }",
        0,
        "",
    ),
}


def change(world, edit):
    world.sh(world.host, world.filled_in(edit))


def edited(world, edit):
    """What attest says of the edit, which is taken back."""
    change(world, edit)
    try:
        return world.attest()
    finally:
        world.restore()


def test_a_table_that_nobody_touched_is_equal(world):
    found = world.attest()
    assert (found.differences, found.open, found.status, found.endpoints) == ((), (), 0, 4)
    assert found.tried > 500


@pytest.mark.parametrize(("edit", "words"), DIFFERENT)
def test_an_edit_is_a_difference_with_a_packet(world, edit, words):
    found = edited(world, edit)
    assert found.status == 1, found
    shown = [d for d in found.differences if words in d.what]
    assert shown, found
    assert shown[0].packet_words, found
    assert shown[0].kernel, found


@pytest.mark.parametrize(
    ("answer", "version", "protocol"),
    [("icmp type host-unreachable", 4, None), ("icmpv6 type no-route", 6, None), ("tcp reset", None, 6)],
)
def test_a_reject_is_of_packets_that_its_answer_is_for(world, answer, version, protocol):
    for chain in ("out-api", "input", "forward"):
        found = edited(world, f"nft insert rule {T} {chain} reject with {answer}")
        assert found.status == 1, found
        witness = found.differences[0].witness
        assert witness.version == version or version is None
        assert witness.protocol == protocol or protocol is None


@pytest.mark.parametrize(("edit", "words"), OPEN)
def test_what_can_not_be_decided_is_not_proven_and_says_why(world, edit, words):
    found = edited(world, edit)
    assert (found.status, found.differences) == (3, ()), found
    assert any(words in line for line in found.open), found


@pytest.mark.parametrize(("edit", "words"), HIDDEN)
def test_an_edit_that_others_hide_is_equal_and_is_told(world, edit, words):
    found = edited(world, edit)
    assert (found.status, found.differences, found.open) == (0, (), ()), found
    assert any(words in line for line in found.alike), found


@pytest.mark.parametrize("edit", ALIKE)
def test_an_edit_that_changes_no_packet_is_equal(world, edit):
    found = edited(world, edit)
    assert found.status == 0, found


def test_a_table_of_another_family_with_our_name_is_not_ours(world):
    change(world, f"nft delete table {T}; nft add table ip calico_rkt")
    try:
        found = world.attest()
    finally:
        change(world, "nft delete table ip calico_rkt")
        world.restore()
    assert found.status == 1
    assert found.differences[0].what == f"the nftables table {T} is not in the kernel"


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_tables_do_to_packets_of_ours_is_judged(world, name):
    script, status, words = OTHERS[name]
    script = world.filled_in(script.replace("HOST_4", w.HOST[4]))
    world.nft(re.sub(r"(;|\}) *(?=\})", "\\1\n", script))
    try:
        found = world.attest()
    finally:
        world.nft(f"delete table {' '.join(script.split()[1:3])}")
    assert found.status == status, found
    said = [d.what for d in found.differences] if status == 1 else found.open
    assert any(words in line for line in said) or not words, found
    assert all(d.packet_words for d in found.differences), found
