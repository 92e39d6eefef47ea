"""Profiles of a cluster from first ADD to prune: published once, changed by apply alone, and others' left alone."""

from __future__ import annotations

import json
import os
import pty
import time
from typing import Any

import pytest

from calico_rkt.plugin.store.access import PATIENCE
from tests.clients.support.caller import Caller
from tests.clients.support.commands import states, status, tool
from tests.clients.support.etcd import ENDPOINTS, RESOURCES, Etcd, cluster_conf, inconsistent, left_in, resource
from tests.clients.support.lab import PLUGINS, Lab, environment
from tests.clients.test_exchange import until_asked, until_closed

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PROFILE = f"{RESOURCES}profiles/net1"
OPEN = """network: net1
ingress:
  - action: Allow
    protocol: TCP
    destination: {ports: [8080]}
  - default
"""


@pytest.fixture
def conf(lab: Lab, etcd: Etcd) -> dict[str, Any]:
    made = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    return made


def test_a_cluster_s_policy_does_not_depend_on_which_host_starts_first(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    lab.override("net1", OPEN)
    netns = lab.netns("a")
    assert "calico-rkt apply" in cni("ADD", conf, "a", netns).refused(106)["details"]
    assert (lab.left(), left_in(etcd)) == ({}, {})
    assert states(lab) == {"net1": "not published"}
    assert tool(lab, "apply", "--dry-run").returncode == 1
    assert PROFILE not in etcd.dump()
    assert tool(lab, "apply", "--yes").returncode == 0
    assert states(lab) == {"net1": "in step"}
    cni.add(conf, "a", netns)
    lab.path("/etc/calico-rkt/profiles/net1.yaml").unlink()
    cni.add(conf, "b", lab.netns("b"))
    assert states(lab) == {"net1": "stale"}


def test_who_reads_for_longer_than_a_call_may_take_publishes_all_the_same(
    lab: Lab, etcd: Etcd, conf: dict[str, Any]
) -> None:
    assert conf
    lab.override("net1", OPEN)
    pid, terminal = pty.fork()
    if pid == 0:
        argv = lab.command(f"{PLUGINS}/calico", "apply")
        os.execvpe(argv[0], argv, environment())
    seen = b""
    try:
        seen += until_asked(terminal)
        time.sleep(PATIENCE + 1)
        os.write(terminal, b"y\n")
        seen += until_closed(terminal)
    finally:
        os.close(terminal)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended == 0, seen
    assert PROFILE in etcd.dump()


def test_apply_keeps_what_others_wrote_and_refuses_to_overwrite_an_edit(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    cni.add(conf, "a", lab.netns("a"))
    first = etcd.dump()[PROFILE]
    first["metadata"]["labels"] = {"team": "blue"}
    first["metadata"]["annotations"]["example.org/note"] = "kept"
    etcd.put(PROFILE, first)
    assert states(lab) == {"net1": "in step"}
    lab.override("net1", OPEN)
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 0, done
    assert b"net1" in done.stdout
    second = etcd.dump()[PROFILE]
    for same in ("uid", "creationTimestamp", "labels"):
        assert second["metadata"][same] == first["metadata"][same]
    assert second["metadata"]["annotations"]["example.org/note"] == "kept"
    assert second["spec"]["ingress"][0]["destination"] == {"ports": [8080]}
    second["spec"]["ingress"][0]["destination"] = {"ports": [9999]}
    etcd.put(PROFILE, second)
    assert states(lab) == {"net1": "edited"}
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 1
    assert b"9999" in done.stdout
    assert etcd.dump()[PROFILE] == second
    assert tool(lab, "apply", "--yes", "--take-over").returncode == 0
    assert etcd.dump()[PROFILE]["spec"]["ingress"][0]["destination"] == {"ports": [8080]}
    assert states(lab) == {"net1": "in step"}


def test_a_profile_of_stock_calico_is_shared_and_not_changed(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    spec = {
        "ingress": [{"action": "Allow", "source": {"selector": "has(net1)"}, "destination": {}}],
        "egress": [{"action": "Allow", "source": {}, "destination": {}}],
        "labelsToApply": {"net1": ""},
    }
    stock = resource("Profile", "net1", spec)
    etcd.put(PROFILE, stock)
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    assert cni("CHECK", conf, "a", netns).status == 0
    assert states(lab) == {"net1": "not ours"}
    assert tool(lab, "apply", "--yes").returncode == 1
    cni.delete(conf, "a", netns)
    assert tool(lab, "prune", "--yes").stdout == b""
    assert etcd.dump()[PROFILE] == stock
    assert tool(lab, "apply", "--yes", "--take-over").returncode == 0
    assert states(lab) == {"net1": "in step"}


def test_prune_takes_profiles_that_no_endpoint_of_the_cluster_uses(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    (place,) = etcd.dump(ENDPOINTS)
    elsewhere = etcd.dump(ENDPOINTS)[place]
    assert tool(lab, "prune", "--yes").stdout == b""
    cni.delete(conf, "a", netns)
    etcd.put(f"{RESOURCES}workloadendpoints/other/elsewhere", elsewhere)
    assert tool(lab, "prune", "--yes").stdout == b""
    etcd.delete(f"{RESOURCES}workloadendpoints/other/elsewhere")
    assert tool(lab, "prune", "--dry-run").stdout == b"would delete profile net1\n"
    assert tool(lab, "prune", "--yes").stdout == b"deleted profile net1\n"
    assert PROFILE not in etcd.dump()
    cni.add(conf, "a", netns)
    assert PROFILE in etcd.dump()


def test_prune_leaves_the_profile_of_a_host_s_own_interface(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    cni.add(conf, "a", lab.netns("a"))
    cni.delete(conf, "a", "/var/run/netns/a")
    place = f"{RESOURCES}hostendpoints/node1-eth0"
    spec = {"node": "node1", "interfaceName": "eth0", "profiles": ["net1"]}
    etcd.put(place, resource("HostEndpoint", "node1-eth0", spec))
    assert b"deleted" not in tool(lab, "prune", "--yes").stdout
    assert PROFILE in etcd.dump()
    etcd.delete(place)
    assert b"deleted profile net1" in tool(lab, "prune", "--yes").stdout


def test_gc_frees_what_a_reboot_left_in_the_cluster(lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]) -> None:
    cni.add(conf, "alive", lab.netns("alive"))
    cni.add(conf, "gone", lab.netns("gone"))
    lab.out("ip", "netns", "del", "gone")
    lab.out("rm", "-r", "/run/calico-rkt")
    assert b"would free net1 gone eth0" in tool(lab, "gc", "--dry-run").stdout
    done = tool(lab, "gc")
    assert done.returncode == 0, done
    assert b"freed net1 gone eth0" in done.stdout
    assert b"alive" not in done.stdout
    (left,) = etcd.dump(ENDPOINTS).values()
    assert left["spec"]["containerID"] == "alive"
    assert inconsistent(etcd) == []
    cni.delete(conf, "alive", "")
    assert left_in(etcd) == {}


def test_status_says_what_stays_as_it_is(lab: Lab, etcd: Etcd, conf: dict[str, Any]) -> None:
    pool = resource("IPPool", "p", {"cidr": "10.1.0.0/16", "natOutgoing": True, "nodeSelector": "all()"})
    etcd.put(f"{RESOURCES}ippools/p", pool)
    (warning,) = status(lab)["warnings"]
    assert "natOutgoing" in warning
    etcd.delete(f"{RESOURCES}nodes/node1")
    assert any("no Node 'node1'" in w for w in status(lab)["warnings"])
    assert conf["name"] in states(lab)


def test_what_can_not_be_is_said_before_anything_is_done(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    netns = lab.netns("a")
    ready = f"{RESOURCES}clusterinformations/default"
    good = etcd.dump()[ready]
    etcd.put(ready, {**good, "spec": {**good["spec"], "datastoreReady": False}})
    assert "not ready" in cni("ADD", conf, "a", netns).refused(11)["msg"]
    cni("STATUS", {**conf, "cniVersion": "1.1.0"}).refused(50)
    etcd.put(ready, good)
    error = cni("ADD", {**conf, "nodename": "node9"}, "a", netns).refused(11)
    assert "node9" in error["msg"]
    error = cni("ADD", {**conf, "require_felix": True}, "a", netns).refused(11)
    assert "Felix" in error["msg"]
    assert (lab.left(), left_in(etcd)) == ({}, {})
    hook = "chain FORWARD { type filter hook forward priority 0; jump cali-FORWARD; }"
    lab.out("nft", f"table ip filter {{ chain cali-FORWARD {{}}; {hook}; }}")
    cni.add({**conf, "require_felix": True}, "a", netns)
    cni("STATUS", {**conf, "cniVersion": "1.1.0", "require_felix": True}).succeeded()
    six = {"type": "host-local", "subnet": "fd00:10:1::/112"}
    assert "IPv6" in cni("ADD", {**conf, "require_felix": True, "ipam": six}, "b", lab.netns("b")).refused(11)["msg"]


def test_names_that_calico_does_not_take(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd, "My_Net." + "x" * 70)
    names = ["UPPER", "under_score", "a.b", "dash-", "x" * 64, "a_b"]
    for number, name in enumerate(names):
        cni.add(conf, name, lab.netns(f"n{number}"), "Eth0.100")
    stored = etcd.dump(ENDPOINTS)
    assert len(stored) == len(names)
    for place, value in stored.items():
        name = place.removeprefix(ENDPOINTS)
        assert name == name.lower()
        assert len(name) <= 253
        spec = value["spec"]
        parts = (spec["node"], "cni", spec["containerID"], spec["endpoint"])
        assert name == value["metadata"]["name"] == "-".join(p.replace("-", "--") for p in parts)
        assert "." not in spec["containerID"]
    assert inconsistent(etcd) == []
    for number, name in enumerate(names):
        cni.delete(conf, name, f"/var/run/netns/n{number}", "Eth0.100")
    assert left_in(etcd) == {}


def test_the_node_s_name_as_calico_finds_it(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = {k: v for k, v in cluster_conf(etcd).items() if k != "nodename"}
    etcd.bootstrap("from-file")
    lab.write("/var/lib/calico/nodename", "from-file\n")
    cni.add(conf, "a", lab.netns("a"))
    (stored,) = etcd.dump(ENDPOINTS).values()
    assert stored["spec"]["node"] == "from-file"
    assert stored["metadata"]["name"] == "from--file-cni-a-eth0"


def test_an_endpoint_of_another_plugin_stays(lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]) -> None:
    other = resource("WorkloadEndpoint", "node1-cni-a-eth0", {"node": "node1"}, namespace="default")
    etcd.put(f"{ENDPOINTS}node1-cni-a-eth0", other)
    netns = lab.netns("a")
    cni("ADD", conf, "a", netns).refused(107)
    cni.delete(conf, "a", netns)
    assert etcd.dump(ENDPOINTS) == {f"{ENDPOINTS}node1-cni-a-eth0": other}
    assert lab.left() == {}
