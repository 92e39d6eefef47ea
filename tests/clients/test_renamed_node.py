"""A host that Calico calls something else since the ADD, or has deleted: what it has goes, or is told of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.etcd import NODE, RESOURCES, Etcd, cluster_conf, inconsistent, left_in
from tests.clients.support.etcd2 import ASSIGNED, OldEtcd, old_conf
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]
NEW = "node2"


def test_a_del_under_a_new_name_takes_the_endpoint_of_the_old_one_away(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    """Its address is the next one's, and an endpoint that stays would give that one its network's rights elsewhere."""
    etcd.bootstrap(NODE, NEW)
    cni.add(cluster_conf(etcd), netns=lab.netns("c1"))
    cni.delete(cluster_conf(etcd, nodename=NEW), netns="/var/run/netns/c1")
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []
    assert lab.left() == {}


def test_gc_under_a_new_name_takes_the_endpoint_of_the_old_one_away(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    etcd.bootstrap(NODE, NEW)
    cni.add(cluster_conf(etcd), netns=lab.netns("c1"))
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(cluster_conf(etcd, nodename=NEW)))
    lab.out("ip", "netns", "del", "c1")
    done = tool(lab, "gc")
    assert (done.returncode, done.stderr) == (0, b""), done
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []


def test_a_del_under_a_new_name_that_etcd_does_not_hear_is_finished(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    etcd.bootstrap(NODE, NEW)
    conf: dict[str, Any] = cluster_conf(etcd, nodename=NEW)
    cni.add(cluster_conf(etcd), netns=lab.netns("c1"))
    etcd.stop()
    cni.delete(conf, netns="/var/run/netns/c1")
    etcd.start()
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    assert tool(lab, "gc").returncode == 0
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []


def test_so_it_is_in_a_cluster_of_2015(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    old.ready(NODE, NEW)
    (address,) = addresses(cni.add(old_conf(old), netns=lab.netns("c1")))
    assert f"{ASSIGNED}/{address}" in old.leaves()
    cni.delete(old_conf(old, nodename=NEW), netns="/var/run/netns/c1")
    assert old.endpoints() == {}
    assert f"{ASSIGNED}/{address}" not in old.leaves()
    assert lab.left() == {}


def test_status_tells_of_attachments_that_felix_knows_by_the_old_name(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    etcd.bootstrap(NODE, NEW)
    cni.add(cluster_conf(etcd), netns=lab.netns("c1"))
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(cluster_conf(etcd)))
    assert b"are of node" not in tool(lab, "status", "--no-agent").stdout
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(cluster_conf(etcd, nodename=NEW)))
    done = tool(lab, "status", "--no-agent")
    assert done.returncode == 1
    assert "attachments of this host (1): they are of node 'node1', and it is 'node2' now" in done.stdout.decode()


def test_status_tells_of_attachments_that_went_with_a_node_that_was_deleted(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    """calicoctl takes a node's endpoints, their addresses and its blocks along; the container still has its own."""
    conf = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    cni.add(conf, "a", lab.netns("a"))
    gone = ("/workloadendpoints/", f"{RESOURCES}nodes/", "/ipam/")
    for key in [k for k in etcd.dump() if any(part in k for part in gone)]:
        etcd.delete(key)
    etcd.bootstrap()
    for argv in (("status", "--no-agent"), ("doctor",)):
        done = tool(lab, *argv)
        assert done.returncode == 1, done
        assert "Calico has no endpoint of net1/a/eth0: Felix lets nothing through there" in done.stdout.decode()
    cni.delete(conf, "a", "/var/run/netns/a")
    assert tool(lab, "status", "--no-agent").returncode == 0
    assert left_in(etcd) == {}
