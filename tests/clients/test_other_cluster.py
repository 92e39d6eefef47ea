"""A conf that moved to another datastore since the ADD: what the first one has is given back or told of, never lost."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.etcd import Etcd, cluster_conf, inconsistent, left_in
from tests.clients.support.lab import PLUGINS, REFERENCE_PLUGINS, Lab, conf

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.clients,
    pytest.mark.parametrize("lab", ["alone"], indirect=True),  # an agent would finish what is noted
]


@pytest.mark.parametrize("to", ["local", "another cluster"])
def test_a_del_by_a_conf_that_moved_notes_what_the_cluster_has(lab: Lab, cni: Caller, etcd: Etcd, to: str) -> None:
    first = cluster_conf(etcd)
    other = Etcd(lab, "m2", 3379).start()
    other.bootstrap()
    now = conf("net1", first["ipam"]) if to == "local" else cluster_conf(other)
    cni.add(first, netns=lab.netns("c1"))
    cni.delete(now, netns="/var/run/netns/c1")
    assert lab.left() == {}
    for argv in (("status", "--no-agent"), ("gc",)):
        done = tool(lab, *argv)
        assert done.returncode == 1, done
        words = f"net1/c1/eth0 is noted to be given back to the cluster of {etcd.url}, which no conf here names"
        assert words in (done.stdout + done.stderr).decode()
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(first))
    done = tool(lab, "gc")
    assert (done.returncode, done.stdout) == (0, b"finished the release of net1 c1 eth0\n"), done
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []
    assert tool(lab, "status", "--no-agent").returncode == 0
    other.stop()


def test_gc_by_a_conf_of_another_cluster_frees_the_dead_and_loses_nothing(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    first = cluster_conf(etcd)
    cni.add(first, netns=lab.netns("c1"))
    done = tool(lab, "gc")
    assert done.returncode == 1
    assert f"net1/c1/eth0 is attached in the cluster of {etcd.url}, which no conf here names" in done.stderr.decode()
    other = Etcd(lab, "m2", 3379).start()
    other.bootstrap()
    lab.write("/etc/cni/net.d/net2.conf", json.dumps(cluster_conf(other, "net2", "10.2.0.0/16")))
    lab.out("ip", "netns", "del", "c1")
    done = tool(lab, "gc")
    assert done.returncode == 1
    assert done.stdout.startswith(b"freed net1 c1 eth0")
    assert b"is noted to be given back" in done.stderr
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(first))
    assert tool(lab, "gc").returncode == 0
    assert left_in(etcd) == {}
    other.stop()


@pytest.mark.parametrize("to", ["a cluster", "local"])
def test_a_del_by_a_conf_that_moved_gives_back_what_another_ipam_plugin_gave(
    lab: Lab, cni: Caller, etcd: Etcd, to: str
) -> None:
    lab.path(PLUGINS, "leases").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
    cluster = cluster_conf(etcd)
    lends, ours = {"type": "leases", "subnet": "10.9.0.0/24"}, cluster["ipam"]
    first, now = (
        (conf("net1", lends), cluster) if to == "a cluster" else (cluster | {"ipam": lends}, conf("net1", ours))
    )
    cni.add(first, netns=lab.netns("c1"))
    assert "host-local" in lab.left()
    cni.delete(now, netns="/var/run/netns/c1")
    assert lab.left() == {}
