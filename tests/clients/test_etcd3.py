"""Attachments in a Calico cluster on today's etcd: what is stored is what stock Calico stores, and goes with them."""

from __future__ import annotations

import json

import pytest

from tests.clients.caller import Caller, addresses
from tests.clients.etcd import ENDPOINTS, IPAM, NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in
from tests.clients.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

STOCK_PROFILE = json.loads("""{"kind":"Profile","apiVersion":"projectcalico.org/v3","metadata":{"name":"net1",
"uid":"9e657a9c-0c12-4e4c-b5ac-0387381edd75","creationTimestamp":"2026-11-23T23:18:45Z"},"spec":{"ingress":[
{"action":"Allow","source":{"selector":"has(net1)"}}],"egress":[{"action":"Allow"}],"labelsToApply":{"net1":""}}}""")
STOCK_ENDPOINT = json.loads("""{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{
"name":"node1-cni-cont--a1-eth0","namespace":"default","uid":"cb9c88c5-9810-4cbe-98dd-d6fe2d21c8bf",
"creationTimestamp":"2026-11-23T23:18:45Z","labels":{"projectcalico.org/namespace":"default",
"projectcalico.org/orchestrator":"cni"}},"spec":{"orchestrator":"cni","node":"node1","containerID":"cont-a1",
"endpoint":"eth0","ipNetworks":["10.1.0.2/32"],"profiles":["net1"],"interfaceName":"calicont-a1",
"mac":"3a:a8:c5:58:56:45"}}""")
STOCK_POOL = json.loads("""{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"pool1",
"uid":"a26e9325-f976-4246-8dcd-6fedabea61b4","creationTimestamp":"2026-11-23T23:19:59Z"},"spec":{
"cidr":"10.1.0.0/16","vxlanMode":"Never","ipipMode":"Never","blockSize":26,"nodeSelector":"all()",
"allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}}""")
"""As the stock CNI plugin and calicoctl stored them, run on an empty etcd."""
VARIES = ("uid", "creationTimestamp", "mac", "interfaceName", "ipNetworks")


def plain(value, *more):
    """A resource without what differs from one time to the next, and without our own annotations."""
    if isinstance(value, dict):
        return {
            k: plain(v, *more)
            for k, v in value.items()
            if k not in (*VARIES, *more)
            and not (k == "annotations" and all(a.startswith("calico-rkt.org/") for a in v))
        }
    return value


def test_what_is_stored_is_what_stock_calico_stores(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    result = cni.add(cluster_conf(etcd), "cont-a1", lab.netns("a"))
    dump = etcd.dump()
    profile, endpoint = dump[f"{RESOURCES}profiles/net1"], dump[f"{ENDPOINTS}node1-cni-cont--a1-eth0"]
    (pool,) = (v for k, v in dump.items() if k.startswith(f"{RESOURCES}ippools/"))
    assert plain(profile) == plain(STOCK_PROFILE)
    assert plain(endpoint) == plain(STOCK_ENDPOINT)
    assert plain(pool, "name") == plain(STOCK_POOL, "name")
    for made in (profile, endpoint, pool):
        assert len(made["metadata"]["uid"]) == 36
        assert made["metadata"]["creationTimestamp"].endswith("Z")
    (address,) = addresses(result)
    assert endpoint["spec"]["ipNetworks"] == [f"{address}/32"]
    host, inside = result["interfaces"]
    assert (endpoint["spec"]["interfaceName"], endpoint["spec"]["mac"]) == (host["name"], inside["mac"])
    assert host["name"].startswith("cali")
    assert len(host["name"]) == 15


def test_addresses_are_taken_in_calico_s_own_blocks(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    (address,) = addresses(cni.add(cluster_conf(etcd), "c1", lab.netns("a")))
    dump = etcd.dump(IPAM)
    (block,) = (v for k, v in dump.items() if "/assignment/" in k)
    cidr = block["cidr"]
    name = cidr.replace("/", "-")
    assert set(dump) == {
        f"{IPAM}assignment/ipv4/block/{name}",
        f"{IPAM}host/{NODE}/ipv4/block/{name}",
        f"{IPAM}handle/net1.c1",
    }
    assert dump[f"{IPAM}host/{NODE}/ipv4/block/{name}"] == {"state": "confirmed", "deleted": False}
    assert dump[f"{IPAM}handle/net1.c1"] == {"block": {cidr: 1}, "deleted": False}
    assert list(block) == [
        *("cidr", "affinity", "affinity_claim_time", "allocations", "unallocated", "attributes"),
        *("sequenceNumber", "sequenceNumberForAllocation", "deleted"),
    ]
    assert block["affinity"] == f"host:{NODE}"
    (attribute,) = block["attributes"]
    assert attribute["handle_id"] == "net1.c1"
    assert attribute["secondary"]["node"] == NODE
    (ordinal,) = block["sequenceNumberForAllocation"]
    assert block["sequenceNumberForAllocation"][ordinal] == block["sequenceNumber"] - 1
    assert inconsistent(etcd) == []
    assert address in str(etcd.dump(ENDPOINTS))


def test_a_del_takes_all_back_and_the_profile_and_the_block_stay(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd)
    netns = lab.netns("a")
    cni.add(conf, "c1", netns)
    assert cni("CHECK", {**conf, "cniVersion": "1.0.0"}, "c1", netns).status == 0
    cni.delete(conf, "c1", netns)
    assert left_in(etcd) == {}
    assert lab.left() == {}
    assert f"{RESOURCES}profiles/net1" in etcd.dump()
    assert any("/host/node1/" in key for key in etcd.dump(IPAM))
    cni.delete(conf, "c1", netns)
    cni.delete(conf, "never", "")


def test_both_families_and_two_networks_in_one_container(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    both = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00:10:1::/64"}]]}
    netns = lab.netns("a")
    result = cni.add(cluster_conf(etcd, ipam=both), "c1", netns)
    four, six = addresses(result)
    assert four.startswith("10.1.")
    assert six.startswith("fd00:10:1:")
    cni.add(cluster_conf(etcd, "net2", "10.2.0.0/16"), "c1", netns, "eth1")
    cni.add(cluster_conf(etcd, ipam=both), "c1", netns, "eth2")
    assert inconsistent(etcd) == []
    assert len(etcd.dump(ENDPOINTS)) == 3
    cni.delete(cluster_conf(etcd, ipam=both), "c1", netns)
    assert inconsistent(etcd) == []
    cni.delete(cluster_conf(etcd, ipam=both), "c1", netns, "eth2")
    cni.delete(cluster_conf(etcd, "net2", "10.2.0.0/16"), "c1", netns, "eth1")
    assert left_in(etcd) == {}
    assert lab.left() == {}
