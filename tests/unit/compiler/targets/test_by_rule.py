import contextlib
import re
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector import any_of, has
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.targets import TARGETS, by_rule, printing
from calico_rkt.compiler.targets.by_rule import by_label, by_member
from calico_rkt.compiler.targets.readback import ReadBack

NFT = TARGETS["nftables"]

TEN, ELEVEN = IPv4Network("10.0.0.0/8"), IPv4Network("11.0.0.0/8")


def allow(**match):
    return Rule(Action.ALLOW, Match(**match))


PLAIN = Network(
    "web",
    "web",
    ingress=(
        allow(source=Side(selector=any_of([has("web"), has("db")]))),
        allow(
            ip_version=4,
            protocol=6,
            source=Side(nets=(TEN, ELEVEN)),
            destination=Side(nets=(TEN,), ports=(PortRange(80, 90),)),
        ),
        Rule(Action.DENY, Match(ip_version=4, protocol=6, source=Side(ports=(PortRange(1, 1),)))),
    ),
    egress=(allow(ip_version=6), allow(ip_version=4, protocol=1, icmp=Icmp(8, 0))),
)
NEGATED = Network(
    "web",
    "web",
    ingress=(
        allow(ip_version=4, source=Side(not_nets=(TEN,)), destination=Side(not_selector=has("db"))),
        allow(protocol=6, destination=Side(not_ports=(PortRange(80, 90),))),
        allow(not_protocol=6),
        allow(ip_version=4, protocol=1, not_icmp=Icmp(8, 0)),
    ),
    egress=(allow(),),
)


@pytest.fixture
def plant(monkeypatch):
    """Change a template, as a slip of the hand would."""

    def planted(name, old, new):
        text = printing.template_text(name)
        assert old in text
        monkeypatch.setattr(printing, "template_text", lambda _: text.replace(old, new))
        printing.environment.cache_clear()

    yield planted
    monkeypatch.undo()
    printing.environment.cache_clear()


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_written_reads_back_as_it_was_meant(target):
    assert TARGETS[target].differs(PLAIN, TARGETS[target].write(PLAIN)) is None


@pytest.mark.parametrize("target", ["calico-v3", "nftables"])
def test_negations_read_back_as_they_were_meant(target):
    assert TARGETS[target].differs(NEGATED, TARGETS[target].write(NEGATED)) is None


@pytest.mark.parametrize(
    ("target", "template", "old", "new", "network"),
    [
        ("nftables", "nftables/network.nft.j2", "}} sport {{ v", "}} dport {{ v", PLAIN),
        ("nftables", "nftables/network.nft.j2", "meta nfproto {{ v }} ", "", PLAIN),
        ("nftables", "nftables/network.nft.j2", "saddr {{ v", "daddr {{ v", PLAIN),
        ("nftables", "nftables/network.nft.j2", "saddr != {{ v", "saddr {{ v", NEGATED),
        ("nftables", "nftables/network.nft.j2", "daddr != {{ v", "daddr {{ v", NEGATED),
        ("nftables", "nftables/network.nft.j2", "dport != {{ v", "dport {{ v", NEGATED),
        ("nftables", "nftables/network.nft.j2", "l4proto != {{ v", "l4proto {{ v", NEGATED),
        ("nftables", "nftables/network.nft.j2", "code != { {{ v }} }", "code { {{ v }} }", NEGATED),
        ("nftables", "nftables/network.nft.j2", "{{ rule.icmp }} code {{ v }} ", "", PLAIN),
        ("nftables", "nftables/network.nft.j2", "flush chain", "# flush chain", PLAIN),
        ("nftables", "nftables/network.nft.j2", "        drop comment", "        return comment", PLAIN),
        ("calico-v3", "calico_v3/profile.yaml.j2", "{{ side }}:", "destination:", PLAIN),
        ("calico-v3", "calico_v3/profile.yaml.j2", "{{ rule.action }}", "Allow", PLAIN),
        ("calico-v3", "calico_v3/profile.yaml.j2", "      {{ key }}: {{ value }}\n", "", PLAIN),
        (
            "calico-v3",
            "calico_v3/profile.yaml.j2",
            "        {{ key }}:{{ value }}\n",
            "        nets:{{ value }}\n",
            NEGATED,
        ),
        ("calico-v3", "calico_v3/profile.yaml.j2", '{{ id }}: ""', 'db: ""', PLAIN),
        (
            "calico-v1",
            "calico_v1/profile.json.j2",
            "- for key, value in rule %}",
            "- for key, value in rule[:1] %}",
            PLAIN,
        ),
        ("calico-v1", "calico_v1/profile.json.j2", '"{{ key }}": {{ value }}{{', '"{{ key }}_": {{ value }}{{', PLAIN),
        ("calico-v1", "calico_v1/profile.json.j2", '"tags": [{{ id }}]', '"tags": []', PLAIN),
    ],
)
def test_a_bug_in_a_template_is_noticed(plant, target, template, old, new, network):
    plant(template, old, new)
    text = TARGETS[target].write(network)
    with contextlib.suppress(CompileError):  # the reader may not even take it
        assert TARGETS[target].differs(network, text) is not None


@pytest.mark.parametrize(
    ("target", "template", "old", "new", "network"),
    [
        ("nftables", "nftables/network.nft.j2", "}} dport {{ v", "}} sport {{ v", PLAIN),
        ("nftables", "nftables/network.nft.j2", "meta nfproto {{ v }} ", "", PLAIN),
        ("nftables", "nftables/network.nft.j2", "saddr != {{ v", "saddr {{ v", NEGATED),
        ("calico-v3", "calico_v3/profile.yaml.j2", "{{ rule.action }}", "Allow", PLAIN),
        (
            "calico-v1",
            "calico_v1/profile.json.j2",
            "- for key, value in rule %}",
            "- for key, value in rule[:1] %}",
            PLAIN,
        ),
    ],
)
def test_such_a_text_is_not_handed_out_and_a_packet_says_why(plant, target, template, old, new, network):
    plant(template, old, new)
    with pytest.raises(CompileError) as e:
        write_proven(network, target)
    (found,) = e.value.diagnostics
    assert found.code == "CR601"
    assert re.search(
        r"; for example (in|e)gress (allows|denies|leaves .*) \S+ .* -> .*, and the text (allows|denies|leaves .*) it",
        found.message,
    )


def difference(old, new, peers=by_label):
    return by_rule.rules_differ("ingress", old, new, peers)


def test_a_rule_more_or_less_or_at_another_place_differs():
    one, two = allow(protocol=6), Rule(Action.DENY, Match(protocol=17))
    assert difference((one, two), (one, two)) is None
    assert "reads back as nothing" in difference((one, two), (one,))
    assert "no more rules" in difference((one,), (one, two))
    assert difference((one, two), (two, one)).startswith("ingress rule 1 is Allow")
    assert difference((one, one), (one,)) is not None
    assert difference((one, Rule(Action.LOG), one), (one, one)) is not None


def test_a_rule_may_be_split_but_only_completely():
    def grid(*cells):
        return tuple(allow(ip_version=4, source=Side(nets=s), destination=Side(nets=d)) for s, d in cells)

    a, b = (TEN,), (ELEVEN,)
    whole = grid((a + b, a + b))
    assert difference(whole, grid((a, a), (a, b), (b, a), (b, b))) is None
    assert difference(whole, grid((a, a + b), (b, a), (b, b))) is None
    assert difference(whole, grid((a, a), (a, b), (b, a))) is not None
    assert difference(whole, grid((a, a), (a, b), (b, a), (a, a))) is not None
    assert difference(whole, grid((a, a), (b, b))) is not None
    assert difference(grid((a, a)), whole) is not None


def test_negated_lists_may_not_be_split():
    def rules(*lists):
        return tuple(allow(ip_version=4, source=Side(not_nets=nets)) for nets in lists)

    assert difference(rules((TEN, ELEVEN)), rules((ELEVEN, TEN))) is None
    assert difference(rules((TEN, ELEVEN)), rules((TEN,), (ELEVEN,))) is not None


def test_on_a_cluster_selectors_are_compared_as_written_on_one_host_by_members():
    def rules(*selectors):
        return tuple(allow(source=Side(selector=parse_selector(s))) for s in selectors)

    assert difference(rules("has(a) || has(b)"), rules("has(b)", "has(a)")) is None
    assert difference(rules("has(a) && !has(b)"), rules("has(a)")) is not None
    assert difference(rules("has(a) && !has(b)"), rules("has(a)"), by_member) is None
    assert difference(rules("!has(a)"), rules("!has(a)"), by_member) is None
    assert difference(rules("!has(a)"), rules("all()"), by_member) is not None
    assert difference(rules("has(a) || has(b)"), rules("has(a)"), by_member) is not None
    assert difference(rules("all()"), (allow(),), by_member) is not None
    assert difference(rules("has(a) && has(b)"), (), by_member) is None


def test_every_word_of_the_frame_counts():
    network = Network("web", "web", endpoint_to_host=ToHost.RETURN)
    good = ReadBack("web", (), (), ("web",), "web", digest(network), ToHost.RETURN)
    assert by_rule.difference(network, good) is None
    for change in (
        {"id": "db"},
        {"labels": ("web", "db")},
        {"name": "db"},
        {"digest": ""},
        {"endpoint_to_host": ToHost.DROP},
    ):
        assert by_rule.difference(network, replace(good, **change)) is not None


def test_ten_thousand_rules_are_compared_in_one_walk():
    rules = tuple(allow(ip_version=4, source=Side(nets=(IPv4Network((i << 8, 24)),))) for i in range(10_000))
    network = Network("web", "web", ingress=rules)
    assert NFT.differs(network, NFT.write(network)) is None


def test_each_rule_that_was_written_leads_back_to_the_one_that_it_is_a_part_of():
    back = NFT.read(NFT.write(PLAIN))
    found = by_rule.origins(PLAIN.ingress, back.ingress, by_member)
    assert len(found) > len(PLAIN.ingress)
    assert list(dict.fromkeys(found)) == list(PLAIN.ingress)
    assert by_rule.origins(PLAIN.ingress[1:], back.ingress, by_member)[0] is None
