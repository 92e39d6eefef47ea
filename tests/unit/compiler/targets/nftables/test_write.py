from ipaddress import IPv4Network, IPv6Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError, Span
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Icmp, LogLimit, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector import any_of, has
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.review.rule_lines import explain_maps
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.compiler.targets.nftables.read import read_nftables
from calico_rkt.compiler.targets.nftables.write import write_nftables

NFT = TARGETS["nftables"]
TEN, HOST = IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.1/32")


def lines(*rules):
    """The rules of the ingress chain, its end left out."""
    network = Network("web", "web", ingress=rules)
    text = write_nftables(network)
    assert NFT.differs(network, text) is None
    body = text.partition("    chain in-web {\n")[2].partition("\n    }\n")[0]
    return [line.strip() for line in body.splitlines()][:-1]


def allow(**match):
    return Rule(Action.ALLOW, Match(**match))


def chosen(selector=None, not_selector=None):
    sides = (None if s is None else parse_selector(s) for s in (selector, not_selector))
    return lines(allow(ip_version=4, source=Side(selector=next(sides), not_selector=next(sides))))


def test_the_default_network_reads_as_a_person_would_write_it():
    network = Network("web", "web", ingress=(allow(source=Side(selector=has("web"))),), egress=(allow(),))
    assert (
        write_nftables(network)
        == f"""\
# Network "web": `nft -f` puts its rules in force in one transaction.
table inet calico_rkt {{
    set m4-web {{ type ipv4_addr; }}
    set m6-web {{ type ipv6_addr; }}
    chain out-web {{ }}
    chain in-web {{ }}
}}
flush chain inet calico_rkt out-web
flush chain inet calico_rkt in-web
table inet calico_rkt {{
    # What its endpoints send; return hands on to the receiver's chain.
    chain out-web {{
        return
        drop comment "{digest(network)} host=drop"
    }}
    # What its endpoints receive; return lets it in.
    chain in-web {{
        ip saddr @m4-web return
        ip6 saddr @m6-web return
        drop comment "{digest(network)}"
    }}
}}
"""
    )


def test_actions_are_return_drop_and_log():
    assert lines(allow(), Rule(Action.DENY), Rule(Action.LOG)) == [
        "return",
        "drop",
        'limit rate 10/second burst 50 packets log prefix "calico-rkt web: "',
    ]


def test_fields_stand_in_one_order():
    source = Side(
        nets=(TEN, HOST), not_nets=(IPv4Network("10.1.0.0/16"),), ports=(PortRange(1, 9),), selector=has("db")
    )
    destination = Side(nets=(HOST,), ports=(PortRange(80, 80), PortRange(443, 443)), not_ports=(PortRange(81, 82),))
    (line,) = lines(allow(ip_version=4, protocol=6, source=source, destination=destination))
    assert line == (
        "ip saddr @m4-db ip saddr { 10.0.0.0/8, 192.0.2.1 } ip saddr != 10.1.0.0/16 ip daddr 192.0.2.1 "
        "tcp sport 1-9 tcp dport { 80, 443 } tcp dport != 81-82 return"
    )


@pytest.mark.parametrize(
    ("match", "text"),
    [
        (Match(ip_version=4), "meta nfproto ipv4"),
        (Match(ip_version=6, protocol=6), "meta l4proto 6 meta nfproto ipv6"),
        (Match(protocol=6), "meta l4proto 6"),
        (Match(not_protocol=17), "meta l4proto != 17"),
        (Match(ip_version=6, protocol=1), "meta l4proto 1 meta nfproto ipv6"),
        (Match(protocol=132, source=Side(ports=(PortRange(5, 5),))), "sctp sport 5"),
        (
            Match(ip_version=6, protocol=17, source=Side(not_ports=(PortRange(5, 5),))),
            "meta nfproto ipv6 udp sport != 5",
        ),
        (Match(ip_version=4, protocol=1, icmp=Icmp(8)), "icmp type 8"),
        (Match(ip_version=4, protocol=1, icmp=Icmp(3, 4)), "icmp type 3 icmp code 4"),
        (Match(ip_version=6, protocol=58, not_icmp=Icmp(128)), "icmpv6 type != 128"),
        (Match(ip_version=6, protocol=58, not_icmp=Icmp(1, 4)), "icmpv6 type . icmpv6 code != { 1 . 4 }"),
        (Match(ip_version=6, source=Side(not_nets=(IPv6Network("fd00::/8"),))), "ip6 saddr != fd00::/8"),
    ],
)
def test_a_match_is_written_so_that_nft_can_not_widen_it(match, text):
    assert lines(Rule(Action.DENY, match)) == [f"{text} drop"]


def test_a_selector_is_a_lookup_in_members():
    assert chosen("has(db)") == ["ip saddr @m4-db return"]
    assert chosen("has(a) || has(b)") == ["ip saddr @m4-a return", "ip saddr @m4-b return"]
    assert chosen("has(a) && has(b)") == []
    assert chosen("all()") == ["ip saddr @all4 return"]
    assert chosen("!has(a)") == ["ip saddr @all4 ip saddr != @m4-a return"]
    assert chosen('a == ""') == ["ip saddr @m4-a return"]
    assert chosen('a == "x"') == []
    assert chosen('a != "x"') == ["ip saddr @all4 return"]


def test_a_not_selector_lets_the_outside_through():
    assert chosen(not_selector="has(a)") == ["ip saddr != @m4-a return"]
    assert chosen(not_selector="has(a) || has(b)") == ["ip saddr != @m4-a ip saddr != @m4-b return"]
    assert chosen(not_selector="all()") == ["ip saddr != @all4 return"]
    assert chosen(not_selector="!has(a)") == ["ip saddr != @all4 return", "ip saddr @m4-a return"]
    assert chosen("has(a) || has(b)", "has(b)") == ["ip saddr @m4-a return"]
    assert chosen("all()", "has(b)") == ["ip saddr @all4 ip saddr != @m4-b return"]


def test_a_rule_about_both_families_that_looks_into_members_becomes_two():
    both = Side(selector=any_of([has("a"), has("b")]))
    assert lines(allow(protocol=6, source=both, destination=Side(not_selector=has("c")))) == [
        "ip saddr @m4-a ip daddr != @m4-c meta l4proto 6 return",
        "ip6 saddr @m6-a ip6 daddr != @m6-c meta l4proto 6 return",
        "ip saddr @m4-b ip daddr != @m4-c meta l4proto 6 return",
        "ip6 saddr @m6-b ip6 daddr != @m6-c meta l4proto 6 return",
    ]


def test_every_set_that_a_rule_looks_into_is_declared():
    text = write_nftables(Network("web", "web", egress=(allow(destination=Side(selector=parse_selector("!has(db)"))),)))
    declared = [line.split()[1] for line in text.splitlines() if line.startswith("    set ")]
    assert declared == ["all4", "all6", "m4-db", "m6-db", "m4-web", "m6-web"]


def test_the_comment_at_the_end_says_what_the_host_gets():
    text = write_nftables(Network("web", "web", endpoint_to_host=ToHost.RETURN))
    assert ' host=return"\n' in text
    assert NFT.read(text).endpoint_to_host is ToHost.RETURN


def test_a_label_that_no_network_applies_is_refused_at_its_line():
    span = Span("web.yaml", 4, 1, 5)
    rule = Rule(Action.ALLOW, Match(source=Side(selector=parse_selector("has(role) || has(web)"))), span)
    network = Network("web", "web", ingress=(rule,))
    with pytest.raises(CompileError, match="no network here applies the label role") as caught:
        write_nftables(network, known_ids=frozenset({"web"}))
    assert [(d.code, d.span) for d in caught.value.diagnostics] == [("CR540", span)]
    assert "@m4-role" in write_nftables(network, known_ids=frozenset({"web", "role"}))
    assert "@m4-role" in write_nftables(network)


@pytest.mark.parametrize("key", ["projectcalico.org/namespace", "Role", "a_b", "x" * 64, "-a"])
def test_a_label_that_is_no_networks_id_is_refused_always(key):
    with pytest.raises(CompileError, match="a network's id is no such label"):
        write_nftables(Network("web", "web", ingress=(allow(source=Side(selector=has(key))),)))


def test_a_name_can_not_leave_its_comment():
    text = write_nftables(Network('x"\n}\nflush ruleset\n', "x-01234567"))
    assert "\nflush ruleset" not in text
    assert text.startswith('# Network "x\\"\\n}\\nflush ruleset\\n": ')


@pytest.mark.parametrize("limit", [LogLimit(), LogLimit(1, 1), LogLimit(10_000, 3)])
def test_a_limit_of_log_lines_is_written_read_back_and_kept_in_the_profile(limit):
    rules = (Rule(Action.LOG), Rule(Action.LOG, Match(protocol=6)), Rule(Action.ALLOW))
    network = Network("web", "web", rules, rules, log_limit=limit)
    assert read_nftables(write_nftables(network)).log_limit == limit
    assert verify_calico_v3(write_calico_v3(network)) == network
    other = Network("web", "web", rules, rules, log_limit=LogLimit(7, 7))
    assert digest(other) != digest(network)
    assert "log_limit" in (NFT.differs(other, write_nftables(other).replace("rate 7/", "rate 8/")) or "")


def test_a_profile_without_a_limit_of_its_own_has_the_digest_that_it_had():
    assert "log_limit" not in write_calico_v3(Network("web", "web", (Rule(Action.LOG),)))


def test_a_long_list_is_maps_and_each_element_says_where_it_is_from():
    nets = [IPv4Network((0x0A000000 + (n << 8), 24)) for n in range(21)]
    long = tuple(
        Rule(
            Action.DENY if n % 4 else Action.ALLOW,
            Match(4, 6, source=Side(nets=(net,)), destination=Side(ports=(PortRange(80 + n % 2, 80 + n % 2),))),
            Span("web.yaml", n + 3, 1, 2),
        )
        for n, net in enumerate(nets)
    )
    assert len(lines(*long[:20])) == 20
    found = lines(*long)
    assert found[:3] == ["ip saddr . tcp dport vmap {", "10.0.0.0/24 . 80 : return,", "10.0.1.0/24 . 81 : drop,"]
    assert len(found) == 23
    assert found[-1] == "}"
    told = explain_maps(Network("web", "web", ingress=long)).splitlines()
    assert told[1] == "ingress in nftables: ip saddr . tcp dport"
    assert told[2] == "  10.0.0.0/24 . 80 : return   <- web.yaml:3"
    assert explain_maps(Network("web", "web", ingress=long[:20])) == ""
    log = Rule(Action.LOG, Match(protocol=6))
    assert [line.split(" ")[0] for line in lines(*long[:10], log, *long[10:])].count("ip") == 21


def test_a_map_says_the_family_the_protocol_and_the_peers_once():
    ports = [PortRange(n, n) for n in range(1, 60, 2)]

    def many(**more):
        return lines(*(Rule(Action.ALLOW, Match(**more | {"destination": Side(ports=(p,))})) for p in ports))[0]

    assert many(protocol=17) == "udp dport vmap {"
    assert many(protocol=17, ip_version=6) == "meta nfproto ipv6 udp dport vmap {"
    assert many(protocol=6, ip_version=4, source=Side(selector=has("db"))) == "ip saddr @m4-db tcp dport vmap {"
    nets = [IPv4Network((0x0A000000 + (n << 8), 24)) for n in range(30)]
    assert lines(*(allow(ip_version=4, protocol=47, source=Side(nets=(n,))) for n in nets))[0] == (
        "meta l4proto 47 ip saddr vmap {"
    )
    assert lines(*(allow(ip_version=4, destination=Side(nets=(n,))) for n in nets))[0] == "ip daddr vmap {"


def test_where_maps_are_no_shorter_the_rules_stay_lines():
    sliding = [
        Rule(
            Action.ALLOW if n % 2 else Action.DENY,
            Match(
                protocol=6,
                source=Side(ports=(PortRange(n * 7919 % 20000, n * 7919 % 20000 + 20000),)),
                destination=Side(ports=(PortRange(1 + n, 30000 + n),)),
            ),
        )
        for n in range(200)
    ]
    assert len(lines(*sliding)) == 200
