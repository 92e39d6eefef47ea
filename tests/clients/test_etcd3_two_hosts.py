"""Two hosts of one cluster: network, mount and PID namespaces, state folders and locks of their own, and one etcd."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support.caller import addresses
from tests.clients.support.etcd import ENDPOINTS, IPAM, NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in
from tests.clients.support.lab import PLUGINS, Lab, environment
from tests.clients.support.warm_process import Warm

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

EACH, PROCESSES = 200, 4
URL = "http://198.51.100.1:2379"
PROFILE = f"{RESOURCES}profiles/net1"


@dataclass(frozen=True)
class Host:
    """One host: its lab, and what Calico calls it."""

    lab: Lab
    name: str

    def conf(self, **keys: Any) -> dict[str, Any]:
        return cluster_conf(URL, nodename=self.name, **keys)


@pytest.fixture
def hosts(lab: Lab, binary: Path) -> Iterator[tuple[Host, Host]]:
    """Two labs with a wire between them."""
    other = Lab(binary, f"calico-rkt-lab-{os.getpid()}-second")
    try:
        between = ("nsenter", "-t", str(lab.pid), "-n", "ip", "link", "add", "wire0", "type", "veth")
        subprocess.run([*between, "peer", "name", "wire0", "netns", str(other.pid)], check=True, timeout=20)
        for number, one in enumerate((lab, other), 1):
            one.out("ip", "address", "add", f"198.51.100.{number}/24", "dev", "wire0")
            one.out("ip", "link", "set", "wire0", "up")
        yield Host(lab, NODE), Host(other, "node2")
    finally:
        other.close()


@pytest.fixture
def shared(hosts: tuple[Host, Host]) -> Etcd:
    """One member on the first host, which both reach."""
    etcd = Etcd(hosts[0].lab, flags=("--listen-client-urls", f"{URL},http://127.0.0.1:2379")).start()
    etcd.bootstrap(*(h.name for h in hosts))
    return etcd


@pytest.fixture
def workers(hosts: tuple[Host, Host]) -> Iterator[list[tuple[Host, Warm]]]:
    made = [(host, Warm(host.lab)) for host in hosts for _ in range(PROCESSES)]
    yield made
    for _, warm in made:
        warm.close()


def test_two_hosts_add_and_delete_at_once(
    hosts: tuple[Host, Host], shared: Etcd, workers: list[tuple[Host, Warm]]
) -> None:
    share = EACH // PROCESSES
    names = [[f"c{p}-{n}" for n in range(share)] for p in range(len(workers))]
    for host in hosts:
        mine = [n for (h, _), some in zip(workers, names, strict=True) if h is host for n in some]
        host.lab.write("/run/names", "\n".join(mine) + "\n")
        host.lab.out("sh", "-c", "while read n; do ip netns add $n; done </run/names")
    for command in ("ADD", "DEL"):
        answers = []
        for n in range(share):
            for (host, warm), some in zip(workers, names, strict=True):
                warm.ask(command, host.conf(), some[n], f"/var/run/netns/{some[n]}")
            answers += [warm.answer()[1] for _, warm in workers]
        assert inconsistent(shared) == []
        if command == "ADD":
            assert len({a for answer in answers for a in addresses(answer)}) == 2 * EACH
            nodes = [e["spec"]["node"] for e in shared.dump(ENDPOINTS).values()]
            assert [nodes.count(h.name) for h in hosts] == [EACH, EACH]
            blocks = [b["affinity"] for k, b in shared.dump(IPAM).items() if "/assignment/" in k]
            assert sorted(set(blocks)) == [f"host:{h.name}" for h in hosts]
            assert len(blocks) == 2 * -(-EACH // 64), "each host has the blocks that it needs, and no more"
    assert left_in(shared) == {}
    assert [h.lab.left() for h in hosts] == [{}, {}]


def test_two_hosts_share_a_pool_that_is_smaller_than_both_need(
    hosts: tuple[Host, Host], shared: Etcd, workers: list[tuple[Host, Warm]]
) -> None:
    """Two blocks of 64 and 63 usable addresses: at the end each host borrows from the other's."""
    conf = {host.name: host.conf(subnet="10.9.0.0/25") for host in hosts}
    asking = workers[: PROCESSES // 2] + workers[PROCESSES : PROCESSES + PROCESSES // 2]
    results = []
    for n in range(126 // len(asking)):
        for number, (host, warm) in enumerate(asking):
            warm.ask("ADD", conf[host.name], f"c{number}-{n}", host.lab.netns(f"c{number}-{n}"))
        results += [warm.answer()[1] for _, warm in asking]
    assert len({a for r in results for a in addresses(r)}) == len(results) == 124
    assert inconsistent(shared) == []


def test_prune_on_one_host_survives_adds_on_the_other(hosts: tuple[Host, Host], shared: Etcd) -> None:
    """Whatever prune does, an ADD finds or makes a profile, and no endpoint is ever without one."""
    first, second = hosts
    first.lab.write("/etc/cni/net.d/net1.conf", json.dumps(first.conf()))
    some = "[ $n -lt 25 ] || { [ $n -lt 500 ] && ! grep -q deleted /run/pruned; }"  # at least one, whatever the pace
    loop = f"n=0; while {some}; do {PLUGINS}/calico prune --yes || exit 1; n=$((n + 1)); done"
    first.lab.write("/run/prune.sh", f"{loop} >/run/pruned")
    pruning = first.lab.start("sh", "/run/prune.sh", env=environment())
    warm = Warm(second.lab)
    netns, rounds = second.lab.netns("a"), 0
    try:
        while pruning.poll() is None and rounds < 2000:
            warm("ADD", second.conf(), "a", netns)
            dump = shared.dump(RESOURCES)
            assert PROFILE in dump
            assert len([k for k in dump if k.startswith(ENDPOINTS)]) == 1
            warm("DEL", second.conf(), "a", netns)
            rounds += 1
    finally:
        warm.close()
    assert pruning.wait(60) == 0
    assert rounds > 10
    assert "deleted profile net1" in first.lab.path("/run/pruned").read_text()
    assert left_in(shared) == {}
    assert inconsistent(shared) == []


def test_a_profile_that_goes_again_and_again_stops_no_add(hosts: tuple[Host, Host], shared: Etcd) -> None:
    """Between the publishing of a first profile and the endpoint's transaction, prune elsewhere may take it away."""
    first, second = hosts
    loop = f"while :; do etcdctl --endpoints={shared.url} del {PROFILE}; sleep 0.03; done"
    deleting = first.lab.start("sh", "-c", loop, env=environment({"ETCDCTL_API": "3"}))
    warm = Warm(second.lab)
    netns = second.lab.netns("a")
    try:
        for _ in range(150):
            warm("ADD", second.conf(), "a", netns)
            warm("DEL", second.conf(), "a", netns)
    finally:
        warm.close()
    assert deleting.poll() is None
