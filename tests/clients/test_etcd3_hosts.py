"""Two hosts of one cluster at once, pools that are nearly full, and stock writers' ways of writing beside ours."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import IPAM, NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in, resource
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


def full_block(cidr: str, node: str, free: int = 0, affinity: str | None = None) -> dict[str, Any]:
    """A block as stock calico-ipam leaves it, with so many of its last addresses free."""
    size = ip_network(cidr).num_addresses
    taken = size - free
    holder = {"node": node, "timestamp": "2026-11-24 00:12:28.941637395 +0000 UTC"}
    return {
        "cidr": cidr,
        "affinity": f"host:{node}" if affinity is None else affinity or None,
        "affinity_claim_time": "2026-11-24T00:12:28Z",
        "allocations": [*range(taken), *[None] * free],
        "unallocated": [*range(taken, size)],
        "attributes": [{"handle_id": f"other.{cidr}.{n}", "secondary": holder} for n in range(taken)],
        "sequenceNumber": 1795479148959802885,
        "sequenceNumberForAllocation": {str(n): 1795479148959802885 for n in range(taken)},
        "deleted": False,
    }


def own(etcd: Etcd, block: dict[str, Any]) -> None:
    """Store a block, and its owner's affinity."""
    name = block["cidr"].replace("/", "-")
    etcd.put(f"{IPAM}assignment/ipv4/block/{name}", block)
    if block["affinity"]:
        owner = block["affinity"].removeprefix("host:")
        etcd.put(f"{IPAM}host/{owner}/ipv4/block/{name}", {"state": "confirmed", "deleted": False})


def test_a_full_pool_s_last_addresses_are_borrowed(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd, subnet="10.9.0.0/25")
    own(etcd, full_block("10.9.0.0/26", "node2", free=2))
    own(etcd, full_block("10.9.0.64/26", "node3", free=1))
    found = []
    for name in ("a", "b"):
        found += addresses(cni.add(conf, name, lab.netns(name)))
    assert found == ["10.9.0.62", "10.9.0.63"]
    block = etcd.dump(IPAM)[f"{IPAM}assignment/ipv4/block/10.9.0.0-26"]
    assert block["affinity"] == "host:node2"
    assert block["attributes"][-1]["secondary"]["node"] == NODE
    assert not [k for k in etcd.dump(IPAM) if f"/host/{NODE}/" in k]
    # 10.9.0.127 is the subnet's broadcast address, which the conf's range leaves out.
    error = cni("ADD", conf, "c", lab.netns("c")).refused(101)
    assert "10.9.0.1-10.9.0.126" in error["msg"]
    for name in ("a", "b"):
        cni.delete(conf, name, f"/var/run/netns/{name}")
    assert etcd.dump(IPAM)[f"{IPAM}assignment/ipv4/block/10.9.0.0-26"]["unallocated"] == [62, 63]
    assert lab.left() == {}


def test_strict_affinity_borrows_nothing(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    own(etcd, full_block("10.9.0.0/26", "node2", free=2))
    etcd.put(f"{IPAM}config", {"strict_affinity": True, "auto_allocate_blocks": True})
    error = cni("ADD", cluster_conf(etcd, subnet="10.9.0.0/26"), "a", lab.netns("a")).refused(101)
    assert "strict affinity" in error["details"]


def test_an_idle_block_of_another_node_is_taken_over(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    own(etcd, full_block("10.9.0.0/26", "node2", free=64))
    assert addresses(cni.add(cluster_conf(etcd, subnet="10.9.0.0/26"), "a", lab.netns("a"))) == ["10.9.0.1"]
    dump = etcd.dump(IPAM)
    assert dump[f"{IPAM}assignment/ipv4/block/10.9.0.0-26"]["affinity"] == f"host:{NODE}"
    assert [k for k in dump if "/host/" in k] == [f"{IPAM}host/{NODE}/ipv4/block/10.9.0.0-26"]


def test_an_affinity_without_its_block_is_finished(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    etcd.put(f"{IPAM}host/{NODE}/ipv4/block/10.1.7.64-26", {"state": "pending", "deleted": False})
    (address,) = addresses(cni.add(cluster_conf(etcd), "a", lab.netns("a")))
    assert ip_address(address) in ip_network("10.1.7.64/26")
    assert etcd.dump(IPAM)[f"{IPAM}host/{NODE}/ipv4/block/10.1.7.64-26"]["state"] == "confirmed"


def test_reserved_excluded_and_asked_for_addresses(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    reservation = resource("IPReservation", "r", {"reservedCIDRs": ["10.9.0.0/30"]})
    etcd.put(f"{RESOURCES}ipreservations/r", reservation)
    ipam = {"type": "host-local", "subnet": "10.9.0.0/26", "gateway": "10.9.0.4", "exclude": ["10.9.0.5/32"]}
    conf = cluster_conf(etcd, ipam=ipam)
    assert addresses(cni.add(conf, "a", lab.netns("a"))) == ["10.9.0.6"]
    asked = {"CNI_ARGS": "IP=10.9.0.40"}
    assert addresses(cni.add(conf, "b", lab.netns("b"), **asked)) == ["10.9.0.40"]
    netns = lab.netns("c")
    error = cni("ADD", conf, "c", netns, **asked).refused(102)
    assert "net1.b" in error["msg"]
    cni("ADD", conf, "c", netns, CNI_ARGS="IP=10.77.0.1").refused(103)
    cni("ADD", conf, "c", netns, CNI_ARGS="IP=10.9.0.5").refused(103)
    assert inconsistent(etcd) == []


def test_a_pool_that_is_there_is_used_and_never_changed(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    spec = {"cidr": "10.0.0.0/8", "blockSize": 28, "nodeSelector": "all()", "ipipMode": "Always"}
    pool = resource("IPPool", "big", spec, labels={"whose": "somebody's"})
    etcd.put(f"{RESOURCES}ippools/big", pool)
    conf = cluster_conf(etcd, subnet="10.9.0.0/24", ipMasq=True)
    (address,) = addresses(cni.add(conf, "a", lab.netns("a")))
    assert ip_address(address) in ip_network("10.9.0.0/24")
    dump = etcd.dump()
    assert [v for k, v in dump.items() if "/ippools/" in k] == [pool]
    assert all(v["cidr"].endswith("/28") for k, v in dump.items() if "/assignment/" in k)
    cni.delete(conf, "a", "/var/run/netns/a")
    assert left_in(etcd) == {}
    etcd.put(f"{RESOURCES}ippools/big", {**pool, "spec": {**spec, "disabled": True}})
    assert "disabled" in cni("ADD", conf, "a", "/var/run/netns/a").refused(101)["msg"]
    etcd.put(f"{RESOURCES}ippools/big", {**pool, "spec": {**spec, "cidr": "10.9.0.128/25"}})
    assert "overlaps" in cni("ADD", conf, "a", "/var/run/netns/a").refused(7)["msg"]


def test_addresses_in_cooldown_come_back_where_there_is_none_any_more(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    etcd.put(f"{IPAM}config", {"auto_allocate_blocks": True, "ipCooldownSeconds": 3600})
    conf = cluster_conf(etcd, subnet="10.9.0.0/30")
    for name in ("a", "b"):
        cni.add(conf, name, lab.netns(name))
        cni.delete(conf, name, f"/var/run/netns/{name}")
    cni("ADD", conf, "a", "/var/run/netns/a").refused(101)
    etcd.delete(f"{IPAM}config")
    assert addresses(cni.add(conf, "a", "/var/run/netns/a")) == ["10.9.0.1"]
    assert inconsistent(etcd) == []


def test_an_address_whose_handle_is_gone_is_given_back_out_of_a_block_of_any_size(
    lab: Lab, cni: Caller, etcd: Etcd
) -> None:
    etcd.put(f"{RESOURCES}ippools/p", resource("IPPool", "p", {"cidr": "10.9.0.0/24", "blockSize": 28}))
    conf = cluster_conf(etcd, subnet="10.9.0.0/24")
    cni.add(conf, "a", lab.netns("a"))
    etcd.delete(f"{IPAM}handle/net1.a")
    cni.delete(conf, "a", "/var/run/netns/a")
    assert left_in(etcd) == {}


def test_of_pools_that_overlap_the_one_that_calico_uses_is_used(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    over = {"conditions": [{"type": "Allocatable", "status": "False", "reason": "CIDROverlap"}]}
    first = {**resource("IPPool", "a", {"cidr": "10.9.0.0/16", "blockSize": 28}), "status": over}
    etcd.put(f"{RESOURCES}ippools/a", first)
    conf = cluster_conf(etcd, subnet="10.9.0.0/24")
    assert "CIDROverlap" in cni("ADD", conf, "a", lab.netns("a")).refused(101)["msg"]
    etcd.put(f"{RESOURCES}ippools/b", resource("IPPool", "b", {"cidr": "10.9.0.0/24", "blockSize": 27}))
    cni.add(conf, "a", "/var/run/netns/a")
    assert [v["cidr"][-3:] for k, v in etcd.dump(IPAM).items() if "/assignment/" in k] == ["/27"]
    cni.delete(conf, "a", "/var/run/netns/a")
    assert left_in(etcd) == {}


def test_a_node_may_have_more_blocks_than_one_request_reads(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    """Blocks of one address each, as who gives whole networks to nodes by addresses has them."""
    etcd.put(f"{IPAM}config", {"auto_allocate_blocks": True, "maxBlocksPerHost": 250})
    etcd.put(f"{RESOURCES}ippools/p", resource("IPPool", "p", {"cidr": "10.9.0.0/24", "blockSize": 32}))
    script = ""
    for number in range(1, 141):
        block = full_block(f"10.9.0.{number}/32", NODE)
        place = f"{IPAM}host/{NODE}/ipv4/block/10.9.0.{number}-32"
        script += _put(block) + f'put "{place}" "{{}}"\n'
    for lines in (script.splitlines()[n : n + 100] for n in range(0, 280, 100)):
        done = etcd.ctl("txn", stdin=("\n" + "\n".join(lines) + "\n\n\n").encode())
        assert b"SUCCESS" in done.stdout, done
    conf = cluster_conf(etcd, subnet="10.9.0.0/24")
    assert len(addresses(cni.add(conf, "a", lab.netns("a")))) == 1
    cni.delete(conf, "a", "/var/run/netns/a")


def test_65000_addresses_taken(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    """Every block of a /16 belongs to others; the last free addresses are found, and found again at once."""
    blocks = [str(net) for net in ip_network("10.5.0.0/16").subnets(new_prefix=26)]
    for start in range(0, len(blocks), 32):
        script = "".join(
            _put(full_block(c, "node2", free=1 if c == "10.5.200.64/26" else 0)) for c in blocks[start : start + 32]
        )
        done = etcd.ctl("txn", stdin=f"\n{script}\n\n\n".encode())
        assert b"SUCCESS" in done.stdout, done
    conf = cluster_conf(etcd, subnet="10.5.0.0/16")
    assert addresses(cni.add(conf, "a", lab.netns("a"))) == ["10.5.200.127"]
    cni("ADD", conf, "b", lab.netns("b")).refused(101)
    cni.delete(conf, "a", "/var/run/netns/a")
    assert addresses(cni.add(conf, "b", "/var/run/netns/b")) == ["10.5.200.127"]


def _put(block: dict[str, Any]) -> str:
    import json

    text = json.dumps(block, separators=(",", ":")).replace('"', '\\"')
    return f'put "{IPAM}assignment/ipv4/block/{block["cidr"].replace("/", "-")}" "{text}"\n'
