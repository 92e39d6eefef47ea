"""Attachments in a Calico cluster on today's etcd: what is stored is what stock Calico stores, and goes with them."""

from __future__ import annotations

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import ENDPOINTS, IPAM, NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


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
