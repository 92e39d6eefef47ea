"""Claims about what conntrack may still know of addresses that were given back."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.local import LocalStore


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "run", tmp_path / "lib", verify=pytest.fail)
    yield made
    made.close()


def hold(store, *addresses):
    for number, address in enumerate(addresses):
        key = Key("web", f"c{number}{address}".replace(":", "x"), "eth0")
        held = (ip_address(address),)
        store.add(Endpoint(key, "aa", "/run/netns/c", 4, 7, "crk0", "02:00", held), Ipam("dhcp"), ())


def test_of_all_who_hold_addresses_those_are_named_whose_flows_are_in_doubt(store):
    hold(store, "10.1.0.1", "10.1.0.2", "10.2.0.9", "10.3.0.1", "fd00::1", "fd00:1::1")
    store.unheld.leave([ip_address("10.1.0.2"), ip_address("10.9.0.1")])
    store.unheld.doubt([ip_network("10.2.0.0/24"), ip_network("fd00::/64")])
    left = store.unheld.left()
    assert set(map(str, left.addresses)) == {"10.1.0.2", "10.9.0.1"}
    assert set(map(str, left.ranges)) == {"10.2.0.0/24", "fd00::/64"}
    assert set(map(str, left.held)) == {"10.1.0.2", "10.2.0.9", "fd00::1"}


def test_nothing_in_doubt_names_nobody(store):
    hold(store, "10.1.0.1")
    assert store.unheld.left().held == frozenset()


WEB, MORE = (ip_network(t) for t in ("10.1.0.0/24", "10.2.0.0/24"))


def test_a_guard_that_no_network_has_any_more_is_told_of_until_its_route_is_gone(store):
    store.unheld.record("web", "a", [WEB])
    assert store.unheld.record("web", "b", [MORE]) == (WEB,)
    assert store.unheld.guards() == {MORE}, "nobody puts it back"
    assert store.unheld.forget_networks([]) == (WEB,), "who was to take its route has died"
    assert store.unheld.forget_networks(["web"]) == (WEB, MORE)
    store.unheld.gone([WEB])
    assert store.unheld.forget_networks([]) == (MORE,)
    assert store.unheld.networks() == ()


def test_a_guard_of_nobodys_that_a_network_has_again_is_that_networks(store):
    store.unheld.record("web", "a", [WEB])
    assert store.unheld.forget_networks(["web"]) == (WEB,)
    assert store.unheld.record("api", "a", [WEB]) == ()
    assert store.unheld.guards() == {WEB}
    assert store.unheld.forget_networks([]) == ()
    assert WEB in store.unheld.left().ranges, "its route may have been away"
