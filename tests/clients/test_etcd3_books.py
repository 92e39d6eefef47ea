"""IPAM's books fit after whatever happened, blocks go back where stock gives them back, and the checker sees errors."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import IPAM, NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in, resource
from tests.clients.support.ipam_books import problems
from tests.clients.support.lab import PLUGINS, Lab, environment

kernel = [pytest.mark.kernel, pytest.mark.clients]

BLOCK, HANDLE = f"{IPAM}assignment/ipv4/block/10.9.0.0-30", f"{IPAM}handle/net1.c1"
AFFINITY, POOL = f"{IPAM}host/{NODE}/ipv4/block/10.9.0.0-30", f"{RESOURCES}ippools/p"
ENDPOINT = f"{RESOURCES}workloadendpoints/default/node1-cni-c1-eth0"
SOUND = {
    BLOCK: {
        "cidr": "10.9.0.0/30",
        "affinity": f"host:{NODE}",
        "allocations": [None, 0, None, None],
        "unallocated": [0, 2, 3],
        "attributes": [{"handle_id": "net1.c1", "secondary": {"node": NODE}}],
        "sequenceNumber": 8,
        "sequenceNumberForAllocation": {"1": 7},
    },
    HANDLE: {"block": {"10.9.0.0/30": 1}, "deleted": False},
    AFFINITY: {"state": "confirmed", "deleted": False},
    POOL: {"spec": {"cidr": "10.9.0.0/29", "blockSize": 30}},
    ENDPOINT: {"spec": {"node": NODE, "ipNetworks": ["10.9.0.1/32"]}},
}


def test_sound_books_have_no_problem() -> None:
    assert problems(SOUND) == []


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        (BLOCK, "unallocated", [0, 1, 2, 3]),
        (BLOCK, "unallocated", [0, 2]),
        (BLOCK, "unallocated", [0, 2, 2, 3]),
        (BLOCK, "unallocated", [0, 2, 3, 4]),
        (BLOCK, "allocations", [None, 1, None, None]),
        (BLOCK, "attributes", [{"handle_id": "net1.c1", "secondary": {"node": NODE}}, {"handle_id": "x"}]),
        (BLOCK, "attributes", [{"handle_id": "net1.c2", "secondary": {"node": NODE}}]),
        (BLOCK, "attributes", [{"handle_id": "net1.c1", "secondary": {"node": "node2"}}]),
        (BLOCK, "affinity", "host:node2"),
        (BLOCK, "affinity", None),
        (BLOCK, "cidr", "10.9.0.4/30"),
        (BLOCK, "sequenceNumberForAllocation", {}),
        (BLOCK, "sequenceNumberForAllocation", {"1": 8}),
        (HANDLE, "block", {"10.9.0.0/30": 2}),
        (HANDLE, "block", {}),
        (POOL, "spec", {"cidr": "10.9.0.0/29"}),
        (POOL, "spec", {"cidr": "10.8.0.0/29", "blockSize": 30}),
        (ENDPOINT, "spec", {"node": NODE, "ipNetworks": []}),
        (ENDPOINT, "spec", {"node": NODE, "ipNetworks": ["10.9.0.1/32", "10.9.0.2/32"]}),
    ],
)
def test_the_checker_sees_every_error(key: str, field: str, value: object) -> None:
    broken = copy.deepcopy(SOUND)
    broken[key][field] = value  # type: ignore[index]
    assert problems(broken), broken


@pytest.mark.parametrize("key", [BLOCK, HANDLE, AFFINITY, POOL, ENDPOINT])
def test_the_checker_misses_what_is_gone(key: str) -> None:
    assert problems({k: v for k, v in SOUND.items() if k != key})


def node(etcd: Etcd, **labels: str) -> None:
    etcd.put(f"{RESOURCES}nodes/{NODE}", resource("Node", NODE, {}, labels=labels))


def pool(etcd: Etcd, selector: str, **spec: Any) -> None:
    etcd.put(POOL, resource("IPPool", "p", {"cidr": "10.9.0.0/24", "nodeSelector": selector, **spec}))


def ipam(etcd: Etcd) -> list[str]:
    """What of one's blocks and affinities there is, without the net."""
    return sorted(k.removeprefix(IPAM).partition("/ipv4/")[0] for k in etcd.dump(IPAM) if "/handle/" not in k)


class TestBlocks:
    pytestmark = kernel

    def test_a_block_goes_with_its_last_address_where_its_pool_does_not_select_the_node(
        self, lab: Lab, cni: Caller, etcd: Etcd
    ) -> None:
        pool(etcd, "rack == 'a'")
        conf = cluster_conf(etcd, subnet="10.9.0.0/24")
        for name in ("a", "b"):
            cni.add(conf, name, lab.netns(name))
        assert ipam(etcd) == ["assignment", f"host/{NODE}"]
        cni.delete(conf, "a", "/var/run/netns/a")
        assert ipam(etcd) == ["assignment", f"host/{NODE}"], "one address is taken still"
        cni.delete(conf, "b", "/var/run/netns/b")
        assert etcd.dump(IPAM) == {}

    @pytest.mark.parametrize(
        ("selector", "labels", "spec"),
        [
            ("rack == 'a'", {"rack": "a"}, {}),
            ("!has(rack)", {}, {}),
            ("", {"rack": "a"}, {}),
            ("all()", {"rack": "a"}, {}),
            ("rack ==", {}, {}),
        ],
    )
    def test_a_block_stays_where_its_pool_selects_the_node(
        self, lab: Lab, cni: Caller, etcd: Etcd, selector: str, labels: dict[str, str], spec: dict[str, Any]
    ) -> None:
        node(etcd, **labels)
        pool(etcd, selector, **spec)
        conf = cluster_conf(etcd, subnet="10.9.0.0/24")
        cni.add(conf, "a", lab.netns("a"))
        cni.delete(conf, "a", "/var/run/netns/a")
        assert ipam(etcd) == ["assignment", f"host/{NODE}"]
        assert inconsistent(etcd) == []

    def test_a_pool_that_is_disabled_takes_no_block_back(self, lab: Lab, cni: Caller, etcd: Etcd) -> None:
        pool(etcd, "rack == 'a'")
        conf = cluster_conf(etcd, subnet="10.9.0.0/24")
        cni.add(conf, "a", lab.netns("a"))
        pool(etcd, "rack == 'a'", disabled=True)
        cni.delete(conf, "a", "/var/run/netns/a")
        assert ipam(etcd) == ["assignment", f"host/{NODE}"]

    def test_an_add_elsewhere_gives_up_empty_blocks_of_pools_that_select_the_node_no_more(
        self, lab: Lab, cni: Caller, etcd: Etcd
    ) -> None:
        node(etcd, rack="a")
        pool(etcd, "rack == 'a'")
        here, other = cluster_conf(etcd, subnet="10.9.0.0/24"), cluster_conf(etcd, "net2", "10.2.0.0/16")
        cni.add(here, "a", lab.netns("a"))
        node(etcd, rack="b")
        cni.add(other, "b", lab.netns("b"))
        assert sum("10.9.0." in k for k in etcd.dump(IPAM)) == 2, "its address is taken"
        node(etcd, rack="a")
        cni.delete(here, "a", "/var/run/netns/a")
        assert sum("10.9.0." in k for k in etcd.dump(IPAM)) == 2, "empty, and the node's"
        node(etcd, rack="b")
        cni.add(other, "c", lab.netns("c"))
        assert not [k for k in etcd.dump(IPAM) if "10.9.0." in k]
        assert inconsistent(etcd) == []

    def test_the_books_fit_after_mixed_traffic(self, lab: Lab, cni: Caller, etcd: Etcd) -> None:
        both = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00:10:1::/64"}]]}
        confs = [
            cluster_conf(etcd, ipam=both),
            cluster_conf(etcd, "net2", "10.2.0.0/28"),
            cluster_conf(
                etcd, "net3", ipam={"type": "host-local", "subnet": "10.3.0.0/24", "exclude": ["10.3.0.0/26"]}
            ),
        ]
        alive: list[tuple[dict[str, Any], str, str]] = []
        for number in range(36):
            conf, name = confs[number % 3], f"c{number}"
            netns = lab.netns(name)
            asked = {"CNI_ARGS": f"IP=10.3.0.{200 + number}"} if conf is confs[2] and number % 2 else {}
            if cni("ADD", conf, name, netns, **asked).status == 0:
                alive.append((conf, name, "eth0"))
            if conf is confs[0] and number % 2:
                cni.add(conf, name, netns, "eth1")
                alive.append((conf, name, "eth1"))
            if number % 4 == 3:
                gone = alive.pop(number % len(alive))
                cni.delete(gone[0], gone[1], f"/var/run/netns/{gone[1]}", gone[2])
                cni.delete(gone[0], gone[1], f"/var/run/netns/{gone[1]}", gone[2])
            assert inconsistent(etcd) == []
        etcd.put(f"{IPAM}config", {"auto_allocate_blocks": True, "ipCooldownSeconds": 3600})
        cooling = alive.pop()
        cni.delete(cooling[0], cooling[1], f"/var/run/netns/{cooling[1]}", cooling[2])
        assert inconsistent(etcd) == []
        assert "releasedAt" in json.dumps(etcd.dump(IPAM))
        etcd.put(f"{IPAM}config", {"auto_allocate_blocks": True})
        lab.out("ip", "netns", "del", alive[0][1])
        lab.write("/etc/cni/net.d/net1.conf", json.dumps(confs[0]))
        assert lab.run(f"{PLUGINS}/calico", "gc", env=environment()).returncode == 0
        assert inconsistent(etcd) == []
        for conf, name, ifname in alive:
            cni.delete(conf, name, f"/var/run/netns/{name}", ifname)
        assert inconsistent(etcd) == []
        assert not [k for k in left_in(etcd) if "/assignment/" not in k]
        assert lab.left() == {}
        assert addresses(cni.add(confs[1], "last", lab.netns("last")))
