"""What an ADD knows of the cluster from the one before, and what somebody changed in between: it acts on the latter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import (
    ENDPOINTS,
    IPAM,
    NODE,
    READY,
    RESOURCES,
    Etcd,
    cluster_conf,
    inconsistent,
    resource,
)
from tests.clients.support.lab import Lab
from tests.clients.support.warm_process import Warm

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.parametrize("lab", ["alone"], indirect=True)]

READINESS = f"{RESOURCES}clusterinformations/default"
PROFILE = f"{RESOURCES}profiles/net1"
SUBNET = "10.1.0.0/16"


@pytest.fixture
def warm(lab: Lab, etcd: Etcd) -> Iterator[Warm]:
    """A process that believes to know the cluster of `etcd`: it has attached two containers of net1."""
    made = Warm(lab)
    for name in ("a", "b"):
        made("ADD", cluster_conf(etcd), name, lab.netns(name))
    yield made
    made.close()


def only(etcd: Etcd, prefix: str) -> tuple[str, Any]:
    ((key, value),) = etcd.dump(prefix).items()
    return key, value


def add(warm: Warm, lab: Lab, etcd: Etcd, name: str = "c") -> Any:
    warm.ask("ADD", cluster_conf(etcd), name, lab.netns(name))
    return warm.whatever()[1]


def test_a_profile_that_is_gone_is_published_anew(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    etcd.delete(PROFILE)
    assert addresses(add(warm, lab, etcd))
    assert only(etcd, PROFILE)[1]["kind"] == "Profile"


def test_a_pool_that_is_gone_is_made_anew(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    pool, _ = only(etcd, f"{RESOURCES}ippools/")
    etcd.delete(pool)
    assert addresses(add(warm, lab, etcd))
    assert only(etcd, f"{RESOURCES}ippools/")[0] == pool


def not_ready(etcd: Etcd) -> None:
    etcd.put(READINESS, resource("ClusterInformation", "default", READY | {"datastoreReady": False}))


def no_node(etcd: Etcd) -> None:
    etcd.delete(f"{RESOURCES}nodes/{NODE}")


def pool_disabled(etcd: Etcd) -> None:
    key, pool = only(etcd, f"{RESOURCES}ippools/")
    pool["spec"]["disabled"] = True
    etcd.put(key, pool)


def profile_of_another(etcd: Etcd) -> None:
    key, profile = only(etcd, PROFILE)
    notes = profile["metadata"]["annotations"]
    etcd.put(key, {**profile, "metadata": {**profile["metadata"], "annotations": dict.fromkeys(notes, "other")}})


def place_taken(etcd: Etcd) -> None:
    name = f"{NODE}-cni-c-eth0"
    etcd.put(f"{ENDPOINTS}{name}", resource("WorkloadEndpoint", name, {"node": NODE}))


@pytest.mark.parametrize(
    ("change", "code"),
    [(not_ready, 11), (no_node, 11), (pool_disabled, 101), (profile_of_another, 106), (place_taken, 107)],
)
def test_what_refuses_a_first_add_refuses_the_next_one(
    lab: Lab, etcd: Etcd, warm: Warm, change: Callable[[Etcd], None], code: int
) -> None:
    before = etcd.dump()
    links = lab.left()
    change(etcd)
    assert add(warm, lab, etcd)["code"] == code
    assert lab.left() == links, "nothing is left"
    for key, value in before.items():
        etcd.put(key, value)
    etcd.delete(f"{ENDPOINTS}{NODE}-cni-c-eth0")
    assert addresses(warm("ADD", cluster_conf(etcd), "c", "/var/run/netns/c")), "once it is over, it is attached"
    assert inconsistent(etcd) == []


def test_a_reserved_address_is_given_to_nobody(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    (last,) = addresses(warm("ADD", cluster_conf(etcd), "c", lab.netns("c")))
    nets = [str(ip_address(last) + 1), f"{ip_address(last) + 2}/31"]
    etcd.put(f"{RESOURCES}ipreservations/some", resource("IPReservation", "some", {"reservedCIDRs": nets}))
    (found,) = addresses(add(warm, lab, etcd, "d"))
    assert not any(ip_address(found) in ip_network(n) for n in nets)


def test_a_reservation_that_is_gone_holds_nothing(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    key = f"{RESOURCES}ipreservations/some"
    block, _ = only(etcd, f"{IPAM}assignment/")
    net = ip_network(block.rpartition("/")[2].replace("-", "/"))
    lower, upper = net.subnets()
    etcd.put(key, resource("IPReservation", "some", {"reservedCIDRs": [str(lower)]}))
    for name in ("c", "d"):
        (found,) = addresses(add(warm, lab, etcd, name))
        assert ip_address(found) in upper
    etcd.delete(key)
    (found,) = addresses(add(warm, lab, etcd, "e"))
    assert ip_address(found) in lower


def test_a_block_that_is_no_more_ours_gives_nothing(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    key, affinity = only(etcd, f"{IPAM}host/{NODE}/")
    etcd.delete(key)
    net = ip_network(key.rpartition("/")[2].replace("-", "/"))
    (found,) = addresses(add(warm, lab, etcd))
    assert ip_address(found) not in net
    assert ip_address(found) in ip_network(SUBNET)
    etcd.put(key, affinity)


def test_an_address_that_a_process_of_its_own_took_is_not_given_again(
    lab: Lab, etcd: Etcd, warm: Warm, cni: Caller
) -> None:
    taken = {*addresses(cni.add(cluster_conf(etcd), "x", lab.netns("x")))}
    for name in ("c", "d"):
        found = {*addresses(add(warm, lab, etcd, name))}
        assert not found & taken
        taken |= found
    cni.delete(cluster_conf(etcd), "x", "/var/run/netns/x")
    assert addresses(add(warm, lab, etcd, "e"))
    assert inconsistent(etcd) == []


def test_addresses_that_the_container_has_by_another_interface_are_counted(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    key, value = only(etcd, f"{IPAM}handle/net1.a")
    etcd.put(key.replace("net1.a", "net1.c"), value)
    assert addresses(add(warm, lab, etcd))
    assert sum(only(etcd, f"{IPAM}handle/net1.c")[1]["block"].values()) == 2


SAVED = "/run/saved"


def save(etcd: Etcd) -> None:
    assert etcd.ctl("snapshot", "save", SAVED).returncode == 0


def put_back(lab: Lab, etcd: Etcd) -> None:
    """Make the cluster what it was when it was saved."""
    data = f"/run/etcd-{etcd.name}"
    etcd.stop()
    lab.out("rm", "-rf", data)
    where = ("--data-dir", data, "--name", etcd.name, "--initial-cluster", f"{etcd.name}={etcd.peer}")
    assert etcd.ctl("snapshot", "restore", SAVED, *where, "--initial-advertise-peer-urls", etcd.peer).returncode == 0
    etcd.start()


def test_a_cluster_that_was_put_back_is_not_taken_for_what_it_was(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    """The block comes to the revision that is believed, and says something else there."""
    save(etcd)
    (after,) = addresses(add(warm, lab, etcd))
    put_back(lab, etcd)
    key, block = only(etcd, f"{IPAM}assignment/")
    taken = block["unallocated"].pop(0)
    block["allocations"][taken] = len(block["attributes"])
    block["attributes"].append({"handle_id": "other.x", "secondary": {"node": NODE}})
    etcd.put(key, block)
    assert ip_network(block["cidr"])[taken] == ip_address(after), "what was given since is free there, and taken anew"
    (found,) = addresses(add(warm, lab, etcd, "d"))
    assert found != after
    assert {a["handle_id"] for a in only(etcd, f"{IPAM}assignment/")[1]["attributes"]} >= {"other.x", "net1.d"}


def test_what_a_del_left_says_nothing_of_a_cluster_that_was_put_back(lab: Lab, etcd: Etcd, warm: Warm) -> None:
    """All that was read comes to the revisions that are believed, and the block to its value; a reservation differs."""
    key, (block, held) = f"{RESOURCES}ipreservations/some", only(etcd, f"{IPAM}assignment/")
    net = ip_network(held["cidr"])
    first, then = (str(net[number]) for number in held["unallocated"][:2])

    def reserve(address: str) -> None:
        etcd.put(key, resource("IPReservation", "some", {"reservedCIDRs": [f"{address}/32"]}))

    def came_and_went(call: Callable[..., Any]) -> bytes:
        assert addresses(call("ADD", cluster_conf(etcd), "c", netns)) == [first]
        call("DEL", cluster_conf(etcd), "c", netns)
        return etcd.ctl("get", block, "-w", "json").stdout.partition(b'"kvs"')[2]

    netns = lab.netns("c")
    save(etcd)
    reserve("10.1.255.200")
    left = came_and_went(warm)
    put_back(lab, etcd)
    reserve(then)
    other = Warm(lab)
    try:
        assert came_and_went(other) == left, "both histories left the same"
    finally:
        other.close()
    (found,) = addresses(add(warm, lab, etcd, "d"))
    assert found != then, "it is reserved"
