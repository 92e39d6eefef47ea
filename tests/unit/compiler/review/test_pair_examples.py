"""An example is a packet that can exist: between two addresses that two different parties can have."""

from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf, Range
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.model import Action, Match, NameRef, Rule, Side
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.explain import cases
from calico_rkt.compiler.review.matrix import cell_kind, cell_words, matrix_of
from tests.worlds import conf, world

ALLOW = (Rule(Action.ALLOW),)
ANY = ExpectedEnd(word="any")


def pool(name, subnet, first=None, last=None, gateway=None, exclude=()):
    net = ip_network(subnet)
    one = Range(net, ip_address(first or net[1]), ip_address(last or net[-2]), gateway and ip_address(gateway))
    ipam = Ipam("host-local", ((one,),), exclude=tuple(map(ip_network, exclude)))
    return NetConf(name, "calico", "1.0.0", ipam)


def examples(there):
    return [(c.source, c.destination, c.example) for c in cases(there, Expectation("", ANY, ANY, Action.ALLOW))]


def test_the_ends_of_an_example_are_two_addresses():
    confs = [
        conf("a", ip_network("10.1.0.0/24"), ip_network("fd00:1::/64")),
        conf("b", ip_network("10.1.0.0/24")),
        conf("c"),
        conf("d"),
        pool("two", "10.5.0.0/30"),
    ]
    here = world(confs, {c.name: (ALLOW, ALLOW) for c in confs})
    found = examples(here)
    assert {("a", "a"), ("a", "b"), ("c", "c"), ("c", "d"), ("outside", "c"), ("c", "host"), ("two", "two")} <= {
        pair[:2] for pair in found
    }
    assert not [f for f in found if f[2].source.address == f[2].destination.address]
    bare = world(confs, {c.name: ((), ()) for c in confs})
    for c in diff_worlds(bare, here).changes:
        assert c.example.source.address != c.example.destination.address, c


@pytest.mark.parametrize(
    ("ipam", "lowest"),
    [
        ({}, "10.1.0.1"),
        ({"gateway": "10.1.0.1"}, "10.1.0.2"),
        ({"gateway": "10.1.0.1", "exclude": ["10.1.0.0/28"]}, "10.1.0.16"),
        ({"first": "10.1.0.64", "last": "10.1.0.70", "exclude": ["10.1.0.64/31"]}, "10.1.0.66"),
        ({"exclude": ["10.1.0.0/25", "10.1.0.128/26", "10.1.0.192/27"]}, "10.1.0.224"),
    ],
)
def test_an_endpoint_of_an_example_has_an_address_that_is_given_out(ipam, lowest):
    here = world([pool("web", "10.1.0.0/24", **ipam)], {"web": (ALLOW, ALLOW)})
    (case,) = cases(here, Expectation("", ExpectedEnd(word="outside"), ANY, Action.ALLOW))
    assert str(case.example.destination.address) == lowest


@pytest.mark.parametrize("address", ["10.1.0.1", "10.1.0.200"])
def test_who_has_an_excluded_address_or_the_gateway_is_outside(address):
    here = world([pool("web", "10.1.0.0/24", gateway="10.1.0.1", exclude=["10.1.0.192/26"])], {"web": (ALLOW, ALLOW)})
    question = Expectation(
        "", ExpectedEnd(net=ip_network(address)), ExpectedEnd(networks=(NameRef("web"),)), Action.ALLOW
    )
    assert {c.source for c in cases(here, question)} == {"outside"}


def test_what_an_address_would_send_to_itself_is_no_flow():
    one = (ip_network("10.1.0.5/32"),)
    itself = Rule(Action.ALLOW, Match(4, source=Side(nets=one), destination=Side(nets=one)))
    web = conf("web", ip_network("10.1.0.0/24"))
    here = world([web], {"web": ((itself,), ALLOW)})
    assert matrix_of(here).cells["web", "web"].flows == ()
    assert not [
        c
        for c in cases(here, Expectation("", ANY, ANY, Action.ALLOW))
        if c.fate.allowed and c.source == "web" == c.destination
    ]
    assert diff_worlds(world([web], {"web": ((), ALLOW)}), here).changes == ()


def test_a_network_with_one_address_has_no_pair_with_itself():
    one = pool("one", "10.1.0.0/24", "10.1.0.9", "10.1.0.9")
    here = world([one], {"one": (ALLOW, ALLOW)})
    cell = matrix_of(here).cells["one", "one"]
    assert (cell_kind(cell), cell_words(cell)) == ("nobody", "no such pair: one has one address only")
    ends = ExpectedEnd(networks=(NameRef("one"),))
    assert outcome(here, Expectation("", ends, ends, Action.DENY)).problem == (
        "no packet is in its set: one has one address only"
    )
    assert list(cases(here, Expectation("", ends, ends, Action.ALLOW))) == []


def test_two_networks_without_a_family_in_common_have_no_pair():
    confs = [conf("v4", ip_network("10.1.0.0/24")), conf("v6", ip_network("fd00::/64"))]
    cells = matrix_of(world(confs, {c.name: (ALLOW, ALLOW) for c in confs})).cells
    assert cell_kind(cells["v4", "v6"]) == "nobody"
    assert cell_kind(cells["v4", "v4"]) == "all"


def test_an_example_of_icmp_opens_a_flow_and_is_of_its_family():
    web = conf("web", ip_network("10.1.0.0/24"), ip_network("fd00::/64"))
    for version, protocol, kinds in ((4, 1, {8, 13, 15, 17}), (6, 58, {128, 135})):
        rule = Rule(Action.ALLOW, Match(version, not_protocol=6))
        here = world([web], {"web": ((rule,), ALLOW)})
        (case,) = [
            c for c in cases(here, Expectation("", ExpectedEnd(word="outside"), ANY, Action.ALLOW)) if c.fate.allowed
        ]
        assert case.example.protocol == 17
        icmp = Expectation("", ExpectedEnd(word="outside"), ANY, Action.ALLOW, (Match(protocol=protocol),))
        (case,) = [c for c in cases(here, icmp) if c.fate.allowed]
        assert case.example.icmp.type in kinds


@pytest.mark.parametrize("nets", [("0.0.0.0/1",), ("127.0.0.0/8", "128.0.0.0/9"), ("224.0.0.0/3", "223.255.255.0/24")])
def test_an_example_is_no_address_that_no_host_can_have_where_there_is_another(nets):
    rule = Rule(Action.ALLOW, Match(4, source=Side(nets=tuple(map(ip_network, nets)))))
    here = world([conf("web", ip_network("10.1.0.0/24"))], {"web": ((rule,), ALLOW)})
    (case,) = [
        c for c in cases(here, Expectation("", ExpectedEnd(word="outside"), ANY, Action.ALLOW)) if c.fate.allowed
    ]
    source = case.example.source.address
    assert not any(source in ip_network(n) for n in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))
