"""Claims about the local datastore's endpoints and addresses."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.log.tables import ENDPOINTS
from calico_rkt.plugin.store.log.texts import text_of


def rng(subnet, first, last, gateway=None):
    return Range(
        ip_network(subnet), ip_address(first), ip_address(last), None if gateway is None else ip_address(gateway)
    )


SMALL = rng("10.1.0.0/29", "10.1.0.1", "10.1.0.6")
V6 = rng("fd00:1::/64", "fd00:1::1", "fd00:1::ffff")


def ipam(*sets, exclude=()):
    return Ipam("host-local", tuple(sets), (), tuple(ip_network(n) for n in exclude))


def endpoint(container, network="web", nonce="aa", addresses=()):
    held = tuple(ip_address(a) for a in addresses)
    return Endpoint(Key(network, container, "eth0"), nonce, f"/run/netns/{container}", 4, 7, "crk0", "02:00", held)


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "run", tmp_path / "lib", verify=pytest.fail)
    yield made
    made.close()


def take(store, container, of, *requested, network="web"):
    added = store.add(endpoint(container, network), of, [ip_address(a) for a in requested])
    return [str(a) for a in added.addresses]


def refused(store, container, of, *requested, network="web"):
    with pytest.raises(CniError) as caught:
        take(store, container, of, *requested, network=network)
    return caught.value


def test_an_endpoint_comes_back_as_it_was_recorded(store):
    added = store.add(replace(endpoint("c1"), ip_masq=True), ipam((SMALL,), (V6,)), ())
    assert [str(a) for a in added.addresses] == ["10.1.0.1", "fd00:1::1"]
    assert store.endpoint(added.key) == added
    store.finish(added.key, "aa", "{}")
    assert store.endpoint(added.key) == replace(added, result="{}")
    assert store.endpoints() == store.endpoints("web") == (replace(added, result="{}"),)
    assert store.endpoints("db") == ()
    assert store.endpoint(Key("web", "c1", "eth1")) is None


def test_each_endpoint_comes_without_its_answer_and_one_that_can_not_be_read_is_named(store):
    for name in ("c1", "c2", "c3"):
        take(store, name, ipam((SMALL,)))
        store.finish(Key("web", name, "eth0"), "aa", "{}")
    with store._state.write() as tables:
        tables.put(ENDPOINTS, text_of(["web", "c2", "eth0"]), "[]\t[]")
    some = store.each()
    first = next(some)
    store.remove(Key("web", "c3", "eth0"), "aa")  # nobody waits for who goes through them
    assert [e.key.container for e in (first, *some)] == ["c1", "c3"]
    assert "'c2'" in next(iter(store.damaged))
    assert [replace(e, result="{}") for e in store.each()] == list(store.endpoints())


def test_a_freed_address_is_handed_out_last(store):
    of = ipam((SMALL,))
    assert [take(store, f"c{i}", of) for i in range(3)] == [["10.1.0.1"], ["10.1.0.2"], ["10.1.0.3"]]
    assert store.remove(Key("web", "c0", "eth0"), "aa")
    assert [take(store, f"d{i}", of) for i in range(4)] == [["10.1.0.4"], ["10.1.0.5"], ["10.1.0.6"], ["10.1.0.1"]]


def test_a_late_remove_does_not_touch_the_next_holder(store):
    of = ipam((SMALL,))
    take(store, "c1", of)
    assert not store.remove(Key("web", "c1", "eth0"), "another")
    assert store.remove(Key("web", "c1", "eth0"), "aa")
    assert not store.remove(Key("web", "c1", "eth0"), "aa")
    assert take(store, "c2", of, "10.1.0.1") == ["10.1.0.1"]
    assert not store.remove(Key("web", "c1", "eth0"), "aa")
    assert refused(store, "c3", of, "10.1.0.1").code == Code.ADDRESS_TAKEN


def test_an_exhausted_pool_names_its_range_and_use_and_records_nothing(store):
    of = ipam((V6,), (rng("10.2.0.0/30", "10.2.0.1", "10.2.0.2"),))
    take(store, "c1", of)
    take(store, "c2", of)
    error = refused(store, "c3", of)
    assert error.code == Code.POOL_EXHAUSTED
    assert "10.2.0.1-10.2.0.2" in error.msg
    assert error.details.startswith("2 in use")
    assert store.endpoint(Key("web", "c3", "eth0")) is None
    assert take(store, "c4", ipam((V6,))) == ["fd00:1::3"]


def test_a_range_set_goes_on_in_its_next_range(store):
    two = (rng("10.2.0.0/30", "10.2.0.1", "10.2.0.2"), rng("10.3.0.0/30", "10.3.0.1", "10.3.0.2"))
    assert [take(store, f"c{i}", ipam(two))[0] for i in range(4)] == ["10.2.0.1", "10.2.0.2", "10.3.0.1", "10.3.0.2"]
    assert refused(store, "c9", ipam(two)).code == Code.POOL_EXHAUSTED


def test_gateways_and_excluded_nets_are_never_handed_out(store):
    of = ipam((rng("10.1.0.0/28", "10.1.0.1", "10.1.0.14", gateway="10.1.0.3"),), exclude=["10.1.0.4/30"])
    got = [take(store, f"c{i}", of)[0] for i in range(9)]
    assert got == [f"10.1.0.{i}" for i in (1, 2, 8, 9, 10, 11, 12, 13, 14)]
    assert refused(store, "x", of).code == Code.POOL_EXHAUSTED
    for address in ("10.1.0.3", "10.1.0.5"):
        assert refused(store, "x", of, address).code == Code.ADDRESS_OUTSIDE


def test_networks_that_share_a_subnet_never_share_an_address(store):
    of = ipam((rng("10.1.0.0/30", "10.1.0.1", "10.1.0.2"),))
    assert take(store, "c1", of, network="web") == ["10.1.0.1"]
    assert take(store, "c1", of, network="db") == ["10.1.0.2"]
    assert refused(store, "c2", of, network="db").code == Code.POOL_EXHAUSTED


def test_a_requested_address_is_given_or_refused_with_the_reason(store):
    of = ipam((SMALL,), (V6,))
    assert take(store, "c1", of, "fd00:1::99", "10.1.0.5") == ["10.1.0.5", "fd00:1::99"]
    taken = refused(store, "c2", of, "10.1.0.5")
    assert (taken.code, "container c1" in taken.msg, "10.1.0.5" in taken.msg) == (Code.ADDRESS_TAKEN, True, True)
    outside = refused(store, "c2", of, "10.9.9.9")
    assert (outside.code, "10.9.9.9" in outside.msg) == (Code.ADDRESS_OUTSIDE, True)
    assert refused(store, "c2", of, "10.1.0.1", "10.1.0.2").code == Code.ADDRESS_OUTSIDE
    assert take(store, "c2", of) == ["10.1.0.1", "fd00:1::1"]


def test_addresses_of_delegated_ipam_are_recorded_and_unique(store):
    store.add(endpoint("c1", addresses=["192.168.5.5"]), Ipam("dhcp"), ())
    with pytest.raises(CniError) as caught:
        store.add(endpoint("c2", "db", addresses=["192.168.5.6", "192.168.5.5"]), Ipam("dhcp"), ())
    assert caught.value.code == Code.ADDRESS_TAKEN
    assert store.endpoint(Key("db", "c2", "eth0")) is None
    store.add(endpoint("c2", "db", addresses=["192.168.5.6"]), Ipam("dhcp"), ())


def test_a_second_add_of_one_key_is_refused_and_keeps_the_first(store):
    of = ipam((SMALL,))
    take(store, "c1", of)
    assert refused(store, "c1", of).code == Code.ATTACHMENT_EXISTS
    assert [str(a) for e in store.endpoints() for a in e.addresses] == ["10.1.0.1"]


def test_a_plain_add_is_one_transaction_and_leaves_all_else_to_who_asks_more(store):
    assert store.add_plain(endpoint("c1"), ipam((SMALL,)), ()) is None, "its range is new"
    assert store.endpoint(Key("web", "c1", "eth0")) is None
    take(store, "c1", ipam((SMALL,)))
    assert store.add_plain(endpoint("c1", nonce="bb"), ipam((SMALL,)), ()) is None, "it is recorded"
    assert store.endpoint(Key("web", "c1", "eth0")).nonce == "aa"
    added = store.add_plain(endpoint("c2"), ipam((SMALL,)), ())
    assert [str(a) for a in added.addresses] == ["10.1.0.2"]
    assert store.endpoint(added.key) == added
    assert store.unrecorded("web", [SMALL]) == ()
    with pytest.raises(CniError) as caught:
        store.add_plain(endpoint("c3"), ipam((SMALL,)), [ip_address("10.1.0.2")])
    assert caught.value.code == Code.ADDRESS_TAKEN
    assert store.endpoint(Key("web", "c3", "eth0")) is None


def test_finish_of_a_removed_attachment_asks_to_try_again(store):
    with pytest.raises(CniError) as caught:
        store.finish(Key("web", "c1", "eth0"), "aa", "{}")
    assert caught.value.code == Code.TRY_AGAIN


def test_ranges_are_those_of_the_newest_confs_and_of_what_is_still_held(store):
    old, new = rng("10.1.0.0/24", "10.1.0.1", "10.1.0.9"), rng("10.2.0.0/24", "10.2.0.1", "10.2.0.9")
    take(store, "c1", ipam((old,)))
    take(store, "c2", ipam((new,)))
    assert [str(n) for n in store.ranges()] == ["10.1.0.0/24", "10.2.0.0/24"]
    store.remove(Key("web", "c1", "eth0"), "aa")
    take(store, "c3", ipam((new,)))
    assert [str(n) for n in store.ranges()] == ["10.2.0.0/24"]


def test_two_stores_at_once_hand_out_every_address_once(tmp_path):
    of = ipam((rng("10.1.0.0/24", "10.1.0.1", "10.1.0.254"),))
    got = []

    def work(name):
        own = LocalStore(tmp_path / "run", tmp_path / "lib", verify=pytest.fail)
        got.extend(take(own, f"{name}{i}", of)[0] for i in range(40))
        own.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in "abcd"]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(got) == len(set(got)) == 160


def test_the_cost_of_an_address_does_not_grow_with_the_fill(store):
    """Counted in lines of Python that run, not in time: a full half of a /16 is one interval."""
    of = ipam((rng("10.1.0.0/16", "10.1.0.1", "10.1.255.254"),))
    take(store, "c", of, "10.1.200.0")

    def lines_of(name):
        ran = []

        def see(_frame, event, _argument):
            if event == "line":
                ran.append(event)
            return see

        sys.settrace(see)
        try:
            got = take(store, name, of)
        finally:
            sys.settrace(None)
        return got, len(ran)

    with store._state.write() as tables:
        tables.put("c", '["web",0]', '"4:0a010000"')
    (first,), few = lines_of("d")
    with store._state.write() as tables:
        tables.put("c", '["web",0]', '"4:0a010000"')
        full = [f"4:{number:08x}" for number in range(0x0A010002, 0x0A01C800)]
        tables.put("e", '["web","full","eth0"]', f"{json.dumps(full)}\tnull")
        assert tables.held.used.intervals()
    (second,), many = lines_of("e")
    assert (first, second) == ("10.1.0.1", "10.1.200.1")
    assert many <= few * 1.5 + 50
