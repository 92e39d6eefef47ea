"""Attachments in a Calico cluster of 2015: what is stored is what pycalico stored, and goes with them."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import NODE
from tests.clients.support.etcd2 import (
    ASSIGNED,
    HOSTS,
    POOLS,
    RULES,
    TAGS,
    V1,
    OldEtcd,
    old_conf,
    old_inconsistent,
    old_left_in,
    records,
)
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PYCALICO_ENDPOINT = json.loads("""{"state":"active","name":"cali12345678901","mac":"aa:bb:cc:dd:ee:ff",
"profile_ids":["net1"],"ipv4_nets":["10.1.0.1/32"],"ipv6_nets":[],"ipv4_gateway":"192.0.2.1","ipv6_gateway":null}""")
PYCALICO_RULES = json.loads("""{"id":"net1","inbound_rules":[{"action":"allow","src_tag":"net1"}],
"outbound_rules":[{"action":"allow"}]}""")
PYCALICO_POOL = json.loads('{"cidr":"10.1.0.0/16"}')
"""As pycalico wrote them for a network net1 on a host with the address 192.0.2.1."""
VARIES = ("name", "mac", "ipv4_nets")


def plain(value: dict) -> dict:
    return {k: v for k, v in value.items() if k != "calico_rkt"}


def test_what_is_stored_is_what_pycalico_stored(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    old.ready(bgp="192.0.2.1")
    before = set(old.leaves())
    result = cni.add(old_conf(old), "cont-a1", lab.netns("a"))
    values = {k: v for k, v in old.values().items() if k not in before}
    (place,) = old.endpoints()
    folder, _, endpoint_id = place.rpartition("/")
    (address,) = addresses(result)
    assert folder == f"{HOSTS}{NODE}/workload/cni/cont-a1/endpoint"
    assert set(values) == {place, TAGS, RULES, f"{POOLS}10.1.0.0-16", f"{ASSIGNED}/{address}"}
    assert values[TAGS] == ["net1"]
    assert plain(values[RULES]) == PYCALICO_RULES
    assert values[f"{POOLS}10.1.0.0-16"] == PYCALICO_POOL
    endpoint = values[place]
    assert list(plain(endpoint)) == list(PYCALICO_ENDPOINT)
    assert {k: v for k, v in plain(endpoint).items() if k not in VARIES} == {
        k: v for k, v in PYCALICO_ENDPOINT.items() if k not in VARIES
    }
    host, inside = result["interfaces"]
    assert (endpoint["name"], endpoint["mac"]) == (host["name"], inside["mac"])
    assert len(endpoint_id) == 32
    assert endpoint["name"] == f"cali{endpoint_id[:11]}"
    assert endpoint["ipv4_nets"] == [f"{address}/32"]
    assert values[RULES]["calico_rkt"]["network"] == "net1"
    assert old_inconsistent(old) == []


def test_a_del_takes_all_back_and_the_profile_and_the_pool_stay(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    netns = lab.netns("a")
    cni.add(conf, "c1", netns)
    cni("CHECK", conf, "c1", netns).succeeded()
    again = cni.add(conf, "c1", netns)
    assert len(old.endpoints()) == 1
    assert addresses(again)[0] in str(old.endpoints())
    cni.delete(conf, "c1", netns)
    assert (old_left_in(old), lab.left(), records(lab)) == ([], {}, [])
    assert {RULES, TAGS, f"{POOLS}10.1.0.0-16"} <= set(old.leaves())
    cni.delete(conf, "c1", netns)
    cni.delete(conf, "never", "")


def test_the_next_hop_is_the_host_s_bgp_address_where_it_has_one(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    usual, named = lab.netns("usual"), lab.netns("named")
    first = cni.add(conf, "usual", usual)
    assert "gateway" not in first["ips"][0]
    assert "169.254.1.1" in lab.out("ip", "route", inside="usual")
    old.ready(bgp="192.0.2.1")
    result = cni.add(conf, "named", named)
    assert result["ips"][0]["gateway"] == "192.0.2.1"
    assert "default via 192.0.2.1 dev eth0" in lab.out("ip", "route", inside="named")
    assert {e["ipv4_gateway"] for e in old.endpoints().values()} == {"169.254.1.1", "192.0.2.1"}
    cni("CHECK", conf, "named", named).succeeded()
    assert cni.add(conf, "named", named)["ips"] == result["ips"]
    # Through the gateway to another container and to the outside, whose answers come back.
    (other,) = addresses(first)
    assert lab.run("ping", "-c1", "-W2", other, inside="named").returncode == 0
    assert lab.run("ping", "-c1", "-W2", "192.0.2.9", inside="named").returncode == 0
    old.set(f"/calico/bgp/v1/host/{NODE}/ip_addr_v4", "192.0.2.2")
    cni("CHECK", conf, "named", named).succeeded()
    lab.out("ip", "route", "replace", "default", "via", "169.254.1.1", "dev", "eth0", "onlink", inside="named")
    assert "no route" in cni("CHECK", conf, "named", named).refused(109)["details"]
    old.set(f"/calico/bgp/v1/host/{NODE}/ip_addr_v4", "nonsense")
    assert "ip_addr_v4" in cni("ADD", conf, "c", lab.netns("c")).refused(110)["msg"]
    assert len(old.endpoints()) == 2


def test_both_families_and_two_networks_in_one_container(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    old.ready(bgp="192.0.2.1")
    old.set(f"/calico/bgp/v1/host/{NODE}/ip_addr_v6", "2001:db8:ffff::1")
    both = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00:10:1::/64"}]]}
    netns = lab.netns("a")
    conf, second = old_conf(old, ipam=both, ipMasq=True), old_conf(old, "net2", "10.2.0.0/16")
    four, six = addresses(cni.add(conf, "c1", netns))
    assert four.startswith("10.1.")
    assert ip_address(six) in ip_network("fd00:10:1::/64")
    cni.add(second, "c1", netns, "eth1")
    cni.add(conf, "c1", netns, "eth2")
    assert old_inconsistent(old) == []
    assert len(old.endpoints()) == 3
    values = old.values()
    assert values[f"{POOLS}10.1.0.0-16"] == {"cidr": "10.1.0.0/16", "masquerade": True}
    assert values[f"{V1}/ipam/v6/pool/fd00:10:1::-64"] == {"cidr": "fd00:10:1::/64"}
    for one, ifname in ((conf, "eth0"), (second, "eth1"), (conf, "eth2")):
        cni("CHECK", one, "c1", netns, ifname).succeeded()
    (first,) = (e for e in old.endpoints().values() if four in str(e))
    assert (first["ipv6_nets"], first["ipv6_gateway"]) == ([f"{six}/128"], "2001:db8:ffff::1")
    assert lab.run("ping", "-c1", "-W2", "-I", "eth0", "2001:db8:ffff::9", inside="a").returncode == 0
    cni.delete(conf, "c1", netns)
    assert old_inconsistent(old) == []
    cni.delete(conf, "c1", netns, "eth2")
    cni.delete(second, "c1", netns, "eth1")
    assert (old_left_in(old), lab.left(), records(lab)) == ([], {}, [])


def test_names_that_calico_does_not_take(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old, "My_Net." + "x" * 70)
    names = ["UPPER", "under_score", "a.b", "dash-", "x" * 64, "a_b"]
    for number, name in enumerate(names):
        cni.add(conf, name, lab.netns(f"n{number}"), "Eth0.100")
    places = [k.removeprefix(f"{HOSTS}{NODE}/workload/cni/").split("/") for k in old.endpoints()]
    assert len({p[0] for p in places}) == len(names)
    for workload, folder, _ in places:
        assert (folder, workload) == ("endpoint", workload.lower())
        assert len(workload) <= 63
        assert "_" not in workload
    assert {e["calico_rkt"]["container"] for e in old.endpoints().values()} == set(names)
    assert old_inconsistent(old) == []
    for number, name in enumerate(names):
        cni.delete(conf, name, f"/var/run/netns/n{number}", "Eth0.100")
    assert old_left_in(old) == []


def test_a_name_that_becomes_another_network_s_id_is_an_error(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    cni.add(old_conf(old), "a", lab.netns("a"))
    rules = old.values()[RULES]
    rules["calico_rkt"]["network"] = "Net1"
    old.set(RULES, rules)
    error = cni("ADD", old_conf(old), "b", lab.netns("b")).refused(106)
    assert "'Net1'" in error["msg"]
    assert len(old.endpoints()) == 1


def test_an_endpoint_of_another_plugin_stays(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    (place,) = old.endpoints()
    cni.delete(conf, "a", netns)
    old.set(place, PYCALICO_ENDPOINT)
    cni("ADD", conf, "a", netns).refused(107)
    cni.delete(conf, "a", netns)
    assert old.endpoints() == {place: PYCALICO_ENDPOINT}
    assert lab.left() == {}


def test_what_can_not_be_is_said_before_anything_is_done(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    netns = lab.netns("a")
    for not_ready in ("True", "false", ""):
        old.set(f"{V1}/Ready", not_ready)
        assert "not ready" in cni("ADD", conf, "a", netns).refused(11)["msg"]
        cni("STATUS", {**conf, "cniVersion": "1.1.0"}).refused(50)
    old.ready()
    felix = {**conf, "require_felix": True}
    assert "felix-FORWARD" in cni("ADD", felix, "a", netns).refused(11)["details"]
    assert (lab.left(), old_left_in(old)) == ({}, [])
    hook = "chain FORWARD { type filter hook forward priority 0; jump felix-FORWARD; }"
    lab.out("nft", f"table ip filter {{ chain felix-FORWARD {{}}; {hook}; }}")
    cni.add(felix, "a", netns)
    cni("STATUS", {**felix, "cniVersion": "1.1.0"}).succeeded()


def test_addresses_that_another_plugin_hands_out_are_in_the_endpoint(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    ipam = {"type": "static", "addresses": [{"address": "10.77.0.5/32"}]}
    conf = old_conf(old, ipam=ipam)
    netns = lab.netns("a")
    result = cni.add(conf, "a", netns)
    assert addresses(result) == ["10.77.0.5"]
    (endpoint,) = old.endpoints().values()
    assert endpoint["ipv4_nets"] == ["10.77.0.5/32"]
    assert not [k for k in old.leaves() if "/ipam/" in k]
    cni("CHECK", {**conf, "prevResult": result}, "a", netns).succeeded()
    cni.delete(conf, "a", netns)
    assert (old_left_in(old), lab.left()) == ([], {})
