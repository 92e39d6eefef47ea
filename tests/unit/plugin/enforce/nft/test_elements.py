from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.plugin.enforce.nft import elements
from calico_rkt.plugin.enforce.nft.elements import EndpointElements
from calico_rkt.plugin.link.groups import group_of
from tests.clashing import two_with_one_number


def endpoint(**changed):
    given = {
        "host_ifname": "crk0123456789ab",
        "addresses": (ip_address("10.1.0.2"), ip_address("fd00::2")),
        "network_id": "web",
        **changed,
    }
    return EndpointElements(**given)


def test_an_add_names_every_set_once():
    assert elements.adding(endpoint(addresses=(ip_address("10.1.0.2"),), ip_masq=True)).splitlines() == [
        "add element inet calico_rkt m4-web { 10.1.0.2 }",
        "add element inet calico_rkt all4 { 10.1.0.2 }",
        'add element inet calico_rkt source4 { "crk0123456789ab" . 10.1.0.2 }',
        "add element inet calico_rkt masq4 { 10.1.0.2 }",
        f'add element inet calico_rkt endpoints {{ "crk0123456789ab" . {group_of("web")} }}',
    ]


def test_a_del_takes_what_the_add_put():
    added = [line.split()[4:] for line in elements.adding(endpoint(ip_masq=True)).splitlines()]
    deleted = [line.split()[4:] for line in elements.deleting(endpoint(ip_masq=True)).splitlines()]
    assert [name for name, *_ in deleted] == [name for name, *_ in added]


def test_a_del_names_only_what_is_there():
    assert elements.deleting(endpoint(), set()) == ""
    assert elements.deleting(endpoint(), {("all6", "fd00::2"), ("all6", "fd00::3")}) == (
        "delete element inet calico_rkt all6 { fd00::2 }\n"
    )


def test_a_del_takes_what_a_table_of_the_layout_before_has_of_it():
    there = {("from_endpoint", '"crk0123456789ab"'), ("to_host", '"crk0123456789ab"'), ("to_host", '"crk0"')}
    assert elements.deleting(endpoint(), there).splitlines() == [
        'delete element inet calico_rkt from_endpoint { "crk0123456789ab" }',
        'delete element inet calico_rkt to_host { "crk0123456789ab" }',
    ]


def test_an_endpoint_of_a_network_that_is_not_enforced_is_known_and_has_no_chain():
    script = elements.adding_all([endpoint()], frozenset())
    assert "m4-web { 10.1.0.2 }" in script
    assert "add element inet calico_rkt endpoints" in script, "its open flows go on"
    assert "goto" not in script


def test_an_endpoint_whose_group_leads_to_another_networks_chains_is_not_let_in():
    first, second = two_with_one_number()
    mine, other = endpoint(network_id=first), endpoint(host_ifname="crk1", network_id=second)
    assert list(elements.let_in([mine, other], {first})) == [mine]
    assert "crk1" not in elements.adding_all([mine, other], frozenset({first})).rpartition("endpoints")[2]
    assert list(elements.let_in([mine, other], ())) == [mine, other]


def test_a_networks_own_script_leads_its_group_to_its_chains_and_another_takes_that_back():
    script = elements.to_host_script("web", ToHost.DROP)
    maps = [line.split()[4:] for line in script.splitlines() if line.startswith("add element")]
    group = str(group_of("web"))
    assert maps == [
        ["from_network", "{", group, ":", "goto", "out-web", "}"],
        ["to_network", "{", group, ":", "goto", "in-web", "}"],
        ["network_to_host", "{", group, ":", "goto", "host-web", "}"],
    ]
    gone = [line.split()[4:] for line in elements.unmapping("web").splitlines() if line.startswith("delete")]
    assert gone == [[name, "{", group, "}"] for name, *_ in maps]


def test_ranges_that_nest_become_one():
    script = elements.ranges_script([ip_network("10.1.0.0/16"), ip_network("10.1.7.0/24"), ip_network("fd00::/64")])
    assert script.splitlines() == [
        "flush set inet calico_rkt pools4",
        "flush set inet calico_rkt pools6",
        "add element inet calico_rkt pools4 { 10.1.0.0/16 }",
        "add element inet calico_rkt pools6 { fd00::/64 }",
    ]


def test_to_host_is_one_rule_in_a_chain_of_the_network():
    rules = [r for r in elements.to_host_script("web", ToHost.RETURN).splitlines() if r.startswith("add rule")]
    assert rules == ["add rule inet calico_rkt host-web return"]


@pytest.mark.parametrize("name", ["eth0", "cali0123456789a", "crk", "crk 1", "crk1;", "crk1\n", "crk01234567890123"])
def test_an_interface_that_is_not_ours_never_gets_into_a_script(name):
    with pytest.raises(ValueError, match="no host interface"):
        endpoint(host_ifname=name)


@pytest.mark.parametrize("network_id", ["", "A", "a b", "a;b", "-a", "a}", "a\n", "x" * 64])
def test_a_name_that_is_no_id_never_gets_into_a_script(network_id):
    with pytest.raises(ValueError, match="no network id"):
        endpoint(network_id=network_id)
    with pytest.raises(ValueError, match="no network id"):
        elements.to_host_script(network_id, ToHost.DROP)
