from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
import yaml

from calico_rkt.compiler.diagnostics import CompileError, Span
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Icmp, Match, NameRef, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector import any_of, has
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3, verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import scalar, write_calico_v3

V3 = TARGETS["calico-v3"]


def hosts(count, first="10.0.0.0"):
    base = int(IPv4Network(first).network_address)
    return tuple(IPv4Network((base + 2 * i, 32)) for i in range(count))


def allow(**match):
    return Rule(Action.ALLOW, Match(**match))


def codes(network, write=write_calico_v3):
    with pytest.raises(CompileError) as caught:
        write(network)
    return sorted({d.code for d in caught.value.diagnostics})


def test_the_default_profile_reads_as_a_person_would_write_it():
    network = Network("web", "web", ingress=(allow(source=Side(selector=has("web"))),), egress=(allow(),))
    text = write_calico_v3(network)
    assert (
        text
        == f"""\
apiVersion: projectcalico.org/v3
kind: Profile
metadata:
  name: web
  annotations:
    calico-rkt.org/compiler: "0.1.0"
    calico-rkt.org/digest: "{digest(network)}"
    calico-rkt.org/network: "web"
spec:
  ingress:
    - action: Allow
      source:
        selector: has(web)
  egress:
    - action: Allow
  labelsToApply:
    web: ""
"""
    )


def test_every_field_of_a_rule_has_its_place():
    match = Match(
        ip_version=4,
        protocol=6,
        source=Side(
            nets=(IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.1/32")),
            not_nets=(IPv4Network("10.1.0.0/16"),),
            ports=(PortRange(1024, 65535),),
            selector=any_of([has("db"), has("web")]),
        ),
        destination=Side(not_ports=(PortRange(22, 22),), not_selector=has("db"), ports=(PortRange(80, 80),)),
    )
    icmp = allow(ip_version=6, protocol=58, icmp=Icmp(128, 0), not_icmp=Icmp(1))
    text = write_calico_v3(Network("web", "web", ingress=(Rule(Action.DENY, match), icmp, allow(not_protocol=99))))
    assert (
        text.partition("  ingress:\n")[2].partition("  labelsToApply")[0]
        == """\
    - action: Deny
      ipVersion: 4
      protocol: TCP
      source:
        nets:
          - 10.0.0.0/8
          - 192.0.2.1/32
        notNets:
          - 10.1.0.0/16
        selector: has(db) || has(web)
        ports: ["1024:65535"]
      destination:
        notSelector: has(db)
        ports: [80]
        notPorts: [22]
    - action: Allow
      ipVersion: 6
      protocol: ICMPv6
      icmp: {type: 128, code: 0}
      notICMP: {type: 1}
    - action: Allow
      notProtocol: 99
  egress: []
"""
    )


@pytest.mark.parametrize(
    "name",
    ["yes", "1e3", "010", "null", "1.5", "{{7*7}}", "$(x)", "a: b", "# x", 'a"b\\', "20:21", "~", "\N{GRINNING FACE}é"],
)
def test_no_name_is_taken_for_anything_but_itself(name):
    text = write_calico_v3(Network(name, "x-01234567"))
    assert yaml.safe_load(text)["metadata"]["annotations"]["calico-rkt.org/network"] == name
    assert verify_calico_v3(text).name == name


@pytest.mark.parametrize(
    "network_id", ["yes", "1e3", "010", "null", "1.5", "y", "0x10", "123", "2026-01-01", "web.dev"]
)
def test_an_id_is_text_in_every_yaml_reader(network_id):
    text = write_calico_v3(Network(network_id, network_id))
    assert yaml.safe_load(text)["metadata"]["name"] == network_id
    assert yaml.safe_load(text)["spec"]["labelsToApply"] == {network_id: ""}
    assert verify_calico_v3(text).id == network_id


def test_selectors_with_quotes_stay_themselves():
    for selector in ('a == "x: #"', "a == 'say \"hi\"'", "!has(a)", "all()", 'a in {"b", "c"}'):
        assert yaml.safe_load(scalar(selector)) == selector


def test_endpoint_to_host_stands_in_an_annotation_only_where_it_is_not_the_default():
    assert "endpoint-to-host" not in write_calico_v3(Network("web", "web"))
    text = write_calico_v3(Network("web", "web", endpoint_to_host=ToHost.ACCEPT))
    assert '    calico-rkt.org/endpoint-to-host: "accept"\n' in text
    assert verify_calico_v3(text).endpoint_to_host is ToHost.ACCEPT


def test_long_nets_and_ports_on_both_sides_split_into_their_cross_product_and_join_again():
    ports = tuple(PortRange(2 * i + 1, 2 * i + 1) for i in range(120))
    match = Match(
        ip_version=4,
        protocol=6,
        source=Side(nets=hosts(512)),
        destination=Side(nets=hosts(300, "11.0.0.0"), ports=ports),
    )
    network = Network("web", "web", ingress=(Rule(Action.ALLOW, match), Rule(Action.DENY)))
    text = write_calico_v3(network)
    back = read_calico_v3(text)
    assert len(back.ingress) == 2 * 2 * 3 + 1
    assert all(len(r.match.source.nets) <= 256 and len(r.match.destination.ports) <= 50 for r in back.ingress)
    assert V3.differs(network, text) is None
    assert verify_calico_v3(text) == network


def test_a_negated_list_that_is_too_long_is_refused_not_split():
    nets = Network("web", "web", ingress=(allow(ip_version=4, source=Side(not_nets=hosts(257))),))
    ports = Network(
        "web",
        "web",
        egress=(allow(protocol=17, destination=Side(not_ports=tuple(PortRange(i, i) for i in range(1, 52)))),),
    )
    assert codes(nets) == ["CR520"]
    assert codes(ports) == ["CR520"]


def test_more_than_1024_rules_a_direction_are_refused_with_the_count():
    span = Span("web.yaml", 7, 1, 2)
    many = tuple(
        allow(ip_version=4, protocol=6, source=Side(nets=(net,)), destination=Side(ports=(PortRange(1 + i, 1 + i),)))
        for i, net in enumerate(hosts(1025))
    )
    with pytest.raises(CompileError, match="egress has 1,025 rules, Calico takes 1,024"):
        V3.check(Network("web", "web", egress=many))
    with pytest.raises(CompileError, match="egress has 1,025 rules, Calico takes 1,024"):
        write_calico_v3(Network("web", "web", egress=many))
    long = replace(allow(ip_version=4, source=Side(nets=hosts(257))), span=span)
    with pytest.raises(CompileError, match=r"ingress has 513 rules \(1,026 with long lists split\)") as caught:
        write_calico_v3(Network("web", "web", ingress=(long,) * 513))
    assert caught.value.diagnostics[0].span == span


def test_all_problems_are_reported_at_once_each_with_its_rule_and_line():
    span = Span("web.yaml", 7, 3, 9)
    bad = replace(allow(ip_version=4, source=Side(not_nets=hosts(300), not_selector=None)), span=span)
    everything = allow(ip_version=6, destination=Side(not_nets=(IPv6Network("::/0"),)))
    with pytest.raises(CompileError) as caught:
        write_calico_v3(Network("web", "web", ingress=(allow(), bad), egress=(everything,)))
    assert [(d.code, d.span) for d in caught.value.diagnostics] == [("CR520", span), ("CR521", None)]
    assert "ingress rule 2" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("match", "code"),
    [
        (Match(source=Side(networks=(NameRef("db"),))), "CR501"),
        (Match(ip_version=4, source=Side(nets=(NameRef("office"),))), "CR501"),
        (Match(destination=Side(ports=(PortRange(1, 1),))), "CR502"),
        (Match(protocol=136, destination=Side(not_ports=(PortRange(1, 1),))), "CR502"),
        (Match(protocol=1, icmp=Icmp(8)), "CR503"),
        (Match(ip_version=6, protocol=1, not_icmp=Icmp(8)), "CR503"),
        (Match(source=Side(nets=(IPv4Network("10.0.0.0/8"),))), "CR504"),
        (Match(ip_version=4, source=Side(not_nets=(IPv6Network("fd00::/8"),))), "CR504"),
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_what_no_target_can_say_is_refused_by_each(target, match, code):
    network = Network("web", "web", ingress=(Rule(Action.ALLOW, match),))
    assert code in codes(network, TARGETS[target].write)
    assert codes(network, TARGETS[target].check) == codes(network, TARGETS[target].write)


def test_a_selector_longer_than_calico_takes_is_refused():
    selector = any_of([has("n" * 60 + str(i)) for i in range(20)])
    assert codes(Network("web", "web", ingress=(allow(source=Side(selector=selector)),))) == ["CR522"]


def test_icmp_of_the_other_family_is_refused():
    assert codes(Network("web", "web", ingress=(allow(ip_version=6, protocol=1),))) == ["CR523"]
    assert codes(Network("web", "web", ingress=(allow(ip_version=4, not_protocol=58),))) == ["CR523"]


def test_an_edited_profile_is_not_verified():
    network = Network("web", "web", ingress=(allow(source=Side(selector=parse_selector("has(web)"))),))
    text = write_calico_v3(network)
    assert verify_calico_v3(text) == network
    for old, new, code in (
        ("action: Allow", "action: Deny", "CR513"),
        ("has(web)", "all()", "CR513"),
        ("  egress: []", "  egress: [{action: Allow}]", "CR513"),
        ('network: "web"', 'network: "other"', "CR513"),
        ("  annotations:\n", '  annotations:\n    calico-rkt.org/endpoint-to-host: "accept"\n', "CR513"),
        ('    web: ""\n', '    web: ""\n    db: ""\n', "CR511"),
        (f'    calico-rkt.org/digest: "{digest(network)}"\n', "", "CR512"),
    ):
        assert old in text
        with pytest.raises(CompileError) as caught:
            verify_calico_v3(text.replace(old, new))
        assert [d.code for d in caught.value.diagnostics] == [code]


def test_a_comment_or_another_layout_does_not_make_it_edited():
    text = write_calico_v3(
        Network("web", "web", ingress=(allow(ip_version=4, source=Side(nets=(ip_network("10.0.0.0/8"),))),))
    )
    assert (
        verify_calico_v3("# published\n" + text.replace("nets:\n          - 10.0.0.0/8", 'nets: ["10.0.0.0/8"]')).id
        == "web"
    )
