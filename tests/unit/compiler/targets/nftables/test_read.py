import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Match, Network, Rule
from calico_rkt.compiler.targets.nftables.read import read_nftables
from calico_rkt.compiler.targets.nftables.write import write_nftables

TEXT = write_nftables(
    Network("web", "web", ingress=(Rule(Action.ALLOW, Match(ip_version=4)),), egress=(Rule(Action.ALLOW),))
)
RULE = "        meta nfproto ipv4 return\n"


def refused(text):
    with pytest.raises(CompileError) as caught:
        read_nftables(text)
    assert [d.code for d in caught.value.diagnostics] == ["CR510"]


def test_the_writers_text_is_read():
    back = read_nftables(TEXT)
    assert (back.id, back.labels, back.name) == ("web", ("web",), "")
    assert back.ingress == (Rule(Action.ALLOW, Match(ip_version=4)),)


@pytest.mark.parametrize(
    "rule",
    [
        "accept",
        "jump in-db",
        "return return",
        "counter return",
        "ip saddr @m4-db return",
        "ip saddr @m6-web return",
        "ip6 saddr 10.0.0.0/8 return",
        "ip saddr 10.0.0.1/8 return",
        "ip saddr 10.0.0.0/8 ip6 daddr fd00::/8 return",
        "ip saddr 10.0.0.0/8 ip saddr 11.0.0.0/8 return",
        "tcp dport 80 udp dport 80 return",
        "tcp dport 80 tcp dport 81 return",
        "tcp dport 80-70 return",
        "tcp dport { 80, 81 return",
        "tcp flags syn return",
        "meta l4proto tcp return",
        "meta l4proto 256 return",
        "icmp code 0 return",
        "icmpv6 type 1 icmp type 1 return",
        "ct state new return",
        'log prefix "x" return',
        'log prefix "x"',
        'limit rate 10/minute burst 50 packets log prefix "x"',
        "limit rate 10/second burst 50 packets return",
        "log",
        "",
        'drop comment "sha256:0"',
        "return; accept",
    ],
)
def test_words_that_it_does_not_know_are_an_error(rule):
    text = TEXT.replace(RULE, f"        {rule}\n" if rule else "")
    if rule:
        refused(text)
    else:
        assert read_nftables(text).ingress == ()


def test_a_chain_without_its_drop_would_let_the_rest_pass_and_is_an_error():
    end = [line for line in TEXT.splitlines() if "drop comment" in line][-1]
    refused(TEXT.replace(end + "\n", ""))


def test_a_chain_that_is_not_flushed_would_keep_old_rules_and_is_an_error():
    refused(TEXT.replace("flush chain inet calico_rkt in-web\n", ""))


def test_two_digests_are_an_error():
    digest = TEXT.partition("sha256:")[2][:64]
    refused(TEXT.replace(digest, "0" * 64, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("host=drop", "host=perhaps"),
        ("inet calico_rkt", "inet filter"),
        ("type ipv4_addr", "type ipv6_addr"),
        ("set m4-web", "set x4-web"),
        ("chain in-web", "chain in-db"),
        ("table inet calico_rkt {\n", "table inet calico_rkt {\n    chain more { }\n"),
    ],
)
def test_another_frame_is_an_error(old, new):
    assert old in TEXT
    refused(TEXT.replace(old, new))


@pytest.mark.parametrize("text", ["", "flush ruleset", "table inet calico_rkt {"])
def test_no_policy_at_all_is_an_error(text):
    refused(text)


@pytest.mark.parametrize(
    "wrong",
    [
        "ip saddr . tcp dport vmap { 10.0.0.0/8 : return }",
        "ip saddr . tcp dport vmap { 10.0.0.0/8 . 80 . 81 : return }",
        "ip saddr . tcp dport vmap { 10.0.0.0/8 . 80 return }",
        "ip saddr . tcp dport vmap { 10.0.0.0/8 . 80 : accept }",
        "ip saddr vmap { fd00::/8 : return }",
        "ip saddr vmap { 10.0.0.9-10.0.0.1 : return }",
        "ip saddr vmap { 10.0.0.1-fd00::1 : return }",
        "ip saddr tcp dport vmap { 80 : return }",
        "tcp dport vmap { 80 : return",
        "tcp dport vmap { 80 : goto out-web }",
        "tcp dport vmap { 80-70 : return }",
        "vmap { 80 : return }",
        "tcp dport vmap @ports",
    ],
)
def test_a_map_that_is_none_of_ours_is_refused(wrong):
    with pytest.raises(CompileError):
        read_nftables(TEXT.replace("        return\n", f"        {wrong}\n", 1))


def test_an_element_means_what_a_line_with_its_fields_means():
    found = read_nftables(
        TEXT.replace(
            "        return\n", "        ip saddr . tcp dport vmap { 10.0.0.1-10.0.0.2 . 80-90 : return, }\n", 1
        )
    ).egress
    line = "        ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport 80-90 return\n"
    assert found == read_nftables(TEXT.replace("        return\n", line, 1)).egress
