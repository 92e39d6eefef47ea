"""export and import: from this host's own datastore into a cluster and back, and everything that is refused."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import Any

import pytest
import yaml

from tests.clients.support.caller import Caller
from tests.clients.support.etcd import ENDPOINTS, RESOURCES, Etcd, cluster_conf, resource
from tests.clients.support.lab import PLUGINS, PUBLISHED, Lab, conf, environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

OPEN = """network: web
ingress:
  - {action: Allow, protocol: TCP, destination: {ports: [8080]}}
  - default
"""
CLUSTER = "/etc/cluster.d"
PROFILE = f"{RESOURCES}profiles/web"
POOL = f"{RESOURCES}ippools/calico-rkt-10.61.0.0-24"
ADDED = ("uid", "creationTimestamp")
"""What a datastore makes anew for a resource."""


def tool(lab: Lab, *argv: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    done = lab.run(f"{PLUGINS}/calico", *argv, stdin=stdin, env=environment(env))
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done


def ran(lab: Lab, *argv: str, stdin: bytes = b"", **env: str) -> str:
    done = tool(lab, *argv, stdin=stdin, **env)
    assert done.returncode == 0, done
    return done.stdout.decode()


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def kinds(text: str) -> list[tuple[str, str]]:
    return [(d["kind"], d["metadata"]["name"]) for d in documents(text)]


def bare(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored resource without what its datastore made: what export writes of it."""
    metadata = {k: v for k, v in stored["metadata"].items() if k not in ADDED}
    return {**stored, "metadata": metadata}


@pytest.fixture
def local(lab: Lab, cni: Caller) -> dict[str, Any]:
    """A network of this host with rules of its own and one container; its conf."""
    made = conf("web", {"type": "host-local", "subnet": "10.61.0.0/24"}, ipMasq=True)
    lab.write("/etc/cni/net.d/web.conf", json.dumps(made))
    lab.override("web", OPEN)
    cni.add(made, "a", lab.netns("a"))
    return made


@pytest.fixture
def moved(lab: Lab, etcd: Etcd, local: dict[str, Any]) -> dict[str, Any]:
    """The conf of the same network in the cluster, in a folder of its own."""
    made = cluster_conf(etcd, "web", "10.61.0.0/24", ipMasq=True)
    assert made["name"] == local["name"]
    lab.write(f"{CLUSTER}/web.conf", json.dumps(made))
    return made


def test_from_this_host_to_a_cluster_as_the_guide_has_it(
    lab: Lab, cni: Caller, etcd: Etcd, local: dict[str, Any], moved: dict[str, Any]
) -> None:
    exported = ran(lab, "export")
    assert kinds(exported) == [("IPPool", "calico-rkt-10.61.0.0-24"), ("Profile", "web")]
    assert ran(lab, "export") == exported
    assert exported.endswith(lab.path(PUBLISHED, "web.yaml").read_text())
    dry = tool(lab, "import", "--from", "local", "--to", "etcdv3", "--confs", CLUSTER, "--dry-run")
    assert dry.returncode == 1, dry
    assert b"newly allowed:\n  outside -> web: TCP port 8080\n" in dry.stdout
    assert PROFILE not in etcd.dump()
    done = ran(lab, "import", "--from", "local", "--to", "etcdv3", "--confs", CLUSTER, "--yes")
    assert "1 endpoint is not brought in" in done
    stored = etcd.dump()
    assert documents(exported) == [bare(stored[POOL]), bare(stored[PROFILE])]
    assert stored[POOL]["spec"]["natOutgoing"] is True
    for made in (stored[POOL], stored[PROFILE]):
        assert all(made["metadata"][key] for key in ADDED)
    assert not [k for k in stored if k.startswith(ENDPOINTS)]
    again = ran(lab, "import", "--from", "local", "--to", etcd.url, "--yes")
    assert "in step already: web" in again
    assert "nothing to change" in again
    assert etcd.dump() == stored
    cni.delete(local, "a", "/var/run/netns/a")
    cni.add(moved, "a", "/var/run/netns/a")
    (endpoint,) = etcd.dump(ENDPOINTS).values()
    assert endpoint["spec"]["profiles"] == ["web"]
    there = json.loads(ran(lab, "status", "--confs", CLUSTER, "--format", "json"))
    states = {(n["datastore"], n["network_id"]): n["state"] for n in there["networks"]}
    assert states == {("local", "web"): "no conf", (etcd.url, "web"): "in step"}
    assert there["warnings"] == []


def test_a_cluster_is_exported_with_its_endpoints_and_imported_by_this_host(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    made = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    cni.add(made, "cont-a1", lab.netns("a"))
    other = resource("WorkloadEndpoint", "node2-cni-x-eth0", {"node": "node2"}, namespace="default")
    etcd.put(f"{ENDPOINTS}node2-cni-x-eth0", other)
    etcd.put(f"{RESOURCES}ippools/theirs", resource("IPPool", "theirs", {"cidr": "10.99.0.0/16"}))
    etcd.put(f"{RESOURCES}profiles/theirs", resource("Profile", "theirs", {"labelsToApply": {"theirs": ""}}))
    assert ran(lab, "export", "-o", "/run/all.yaml") == "/run/all.yaml: 1 profile, 1 pool, 1 endpoint\n"
    assert ran(lab, "export", "-o", "-") == ran(lab, "export")
    exported = lab.path("/run/all.yaml").read_text()
    stored = etcd.dump()
    assert documents(exported) == [
        bare(stored[f"{RESOURCES}ippools/calico-rkt-10.1.0.0-16"]),
        bare(stored[f"{RESOURCES}profiles/net1"]),
        bare(stored[f"{ENDPOINTS}node1-cni-cont--a1-eth0"]),
    ]
    assert [k for k, _ in kinds(ran(lab, "export", "--no-endpoints"))] == ["IPPool", "Profile"]
    done = ran(lab, "import", "/run/all.yaml", "--to", "local", "--yes")
    assert "1 pool is not brought in" in done
    assert "1 endpoint is not brought in" in done
    assert lab.path(PUBLISHED, "net1.yaml").read_text() in exported
    assert kinds(ran(lab, "export", "--from", "local")) == [("Profile", "net1")]
    assert "nothing to change" in ran(lab, "import", "-", "--to", "local", stdin=exported.encode())


def test_what_differs_is_overwritten_only_when_told(lab: Lab, cni: Caller, etcd: Etcd, moved: dict[str, Any]) -> None:
    lab.path("/etc/calico-rkt/profiles/web.yaml").unlink()
    cni.add(moved, "b", lab.netns("b"))
    before = etcd.dump()
    bring = ("import", "--from", "local", "--to", "etcdv3", "--confs", CLUSTER, "--yes")
    done = tool(lab, *bring)
    assert done.returncode == 1
    assert b"web: published with other rules already" in done.stderr
    assert b"newly allowed:\n  outside -> web: TCP port 8080\n" in done.stdout
    assert etcd.dump() == before
    edited = json.loads(json.dumps(before[PROFILE]))
    edited["spec"]["egress"] = []
    etcd.put(PROFILE, edited)
    done = tool(lab, *bring, "--overwrite")
    assert done.returncode == 1
    assert b"edited by hand" in done.stderr
    assert etcd.dump()[PROFILE] == edited
    assert b"not as it was applied" in tool(lab, "export", "--from", "etcdv3", "--confs", CLUSTER).stderr
    ran(lab, *bring, "--take-over")
    after = etcd.dump()[PROFILE]
    assert after["metadata"]["uid"] == edited["metadata"]["uid"]
    assert after["spec"]["ingress"][0]["destination"] == {"ports": [8080]}


def test_pools_that_are_there_are_never_changed(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    assert moved
    for name, spec, words in (
        ("theirs", {"cidr": "10.61.0.0/24"}, b"other settings, and stays as it is, called theirs"),
        ("theirs", {"cidr": "10.0.0.0/8"}, b"lies in IPPool theirs (10.0.0.0/8)"),
        ("theirs", {"cidr": "10.61.0.0/26"}, b"would cover IPPool theirs"),
        ("calico-rkt-10.61.0.0-24", {"cidr": "10.62.0.0/24"}, b"is 10.62.0.0/24 there"),
    ):
        pool = resource("IPPool", name, spec)
        etcd.put(f"{RESOURCES}ippools/{name}", pool)
        done = tool(lab, "import", "--from", "local", "--to", etcd.url, "--yes")
        assert words in done.stdout + done.stderr, done
        assert [v for k, v in etcd.dump().items() if "/ippools/" in k] == [pool]
        etcd.delete(f"{RESOURCES}ippools/{name}")


def test_what_the_datastore_has_no_words_for_is_refused(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    assert moved
    lab.override("web", OPEN + "endpoint_to_host: return\n")
    ran(lab, "apply", "--yes")
    done = tool(lab, "import", "--from", "local", "--to", etcd.url, "--yes")
    assert done.returncode == 2
    assert b"CR407 error: network 'web' has endpoint_to_host: return" in done.stderr
    assert PROFILE not in etcd.dump()
    ready = f"{RESOURCES}clusterinformations/default"
    etcd.delete(ready)
    lab.override("web", OPEN)
    ran(lab, "apply", "--yes")
    assert b"not ready" in tool(lab, "import", "--from", "local", "--to", etcd.url, "--yes").stderr


def test_rules_about_labels_of_no_network_are_not_brought_to_this_host(lab: Lab, etcd: Etcd) -> None:
    made = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    lab.override("net1", "network: net1\ningress:\n  - {action: Allow, source: {selector: role == 'db'}}\n")
    ran(lab, "apply", "--yes")
    done = tool(lab, "import", "--from", "etcdv3", "--to", "local", "--yes")
    assert done.returncode == 2
    assert b"CR540 error: network 'net1'" in done.stderr
    assert not lab.path(PUBLISHED, "net1.yaml").exists()


def test_tests_of_the_host_s_files_have_to_hold(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    assert moved
    closed = "tests:\n  - {name: closed, from: {outside: true}, to: {network: web}, verdict: Deny}\n"
    lab.override("web", OPEN + closed)
    bring = ("import", "--from", "local", "--to", "etcdv3", "--confs", CLUSTER, "--yes")
    done = tool(lab, *bring)
    assert done.returncode == 1, done
    assert b"CR810 error: test 'closed' does not hold" in done.stdout
    assert PROFILE not in etcd.dump()
    ran(lab, *bring, "--no-tests")
    assert PROFILE in etcd.dump()


def test_what_can_not_be_meant_is_said(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    assert moved
    lab.write("/run/edited.yaml", ran(lab, "export").replace("8080", "8081"))
    for argv, status, words in (
        (["import"], 2, "name a FILE, or a datastore with --from"),
        (["import", "/run/edited.yaml", "--from", "local"], 2, "name a FILE, or a datastore with --from"),
        (["import", "/nowhere.yaml"], 2, "/nowhere.yaml can't be read: No such file"),
        (["import", "/run"], 2, "/run can't be read: Is a directory"),
        (["import", "/run/edited.yaml"], 2, "CR513 error: the profile web was edited"),
        (["import", "--from", "local"], 2, "--from and --to are one datastore: local"),
        (["import", "--from", etcd.url, "--to", "etcdv3", "--confs", CLUSTER], 2, "are one datastore"),
        (["import", "--from", "local", "--to", "etcd"], 2, "--to 'etcd' is no datastore"),
        (["import", "--from", "local", "--to", "etcdv3"], 2, "no conf names a datastore of type etcdv3"),
        (["import", "--from", "local", "--to", "http://127.0.0.1:1"], 2, "http://127.0.0.1:1"),
        (["export", "--from", "nothing"], 2, "--from 'nothing' is no datastore"),
        (["export", "--from", "https://[::1"], 2, "--from 'https://[::1' is no URL with host and port"),
        (
            ["export", "--from", "http://127.0.0.1:99999"],
            2,
            "--from 'http://127.0.0.1:99999' is no URL with host and port",
        ),
        (["import", "--from", "local", "--to", "http://a@127.0.0.1:1"], 2, "is no URL with host and port"),
        (["export", "--confs", "/nowhere"], 2, "/nowhere is no folder of confs"),
        (
            ["export", "--confs", CLUSTER, "--confs", "/etc/cni/net.d", "-o", "/nowhere/x"],
            2,
            "calico-rkt export: /nowhere/x: there is no such folder",
        ),
        (["export", "-o", "/run"], 2, "calico-rkt export: /run: Is a directory"),
        (["export", "surplus"], 2, "unrecognized arguments: surplus"),
        (["import", "--from", "local", "--to", etcd.url], 2, "--yes does not ask"),
    ):
        done = tool(lab, *argv)
        assert done.returncode == status, (argv, done)
        assert words in done.stderr.decode(), (argv, done)
    assert PROFILE not in etcd.dump()
    assert [p.name for p in lab.path("/run").glob(".*")] == []
    for command in ("export", "import"):
        assert f"usage: calico-rkt {command}" in ran(lab, command, "--help")
        assert command in ran(lab, "--help")


def test_several_datastores_have_to_be_told_apart(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    lab.write("/etc/cni/net.d/net2.conf", json.dumps({**moved, "name": "net2"}))
    done = tool(lab, "export")
    assert done.returncode == 2
    assert f"several datastores are meant: local; etcdv3 at {etcd.url}" in done.stderr.decode()
    assert kinds(ran(lab, "export", "--from", "local"))
    assert b"has nothing of ours" in tool(lab, "export", "--from", etcd.url).stderr
    # The conf that names no datastore is about that of the environment, here as for an ADD.
    elsewhere = tool(lab, "import", "--from", "local", "--to", "etcdv3", "--yes", ETCD_ENDPOINTS="http://127.0.0.1:1")
    assert (elsewhere.returncode, b"several datastores are meant: etcdv3" in elsewhere.stderr) == (2, True)
    assert ran(lab, "import", "--from", "local", "--to", "etcdv3", "--yes")
    assert PROFILE in etcd.dump()


def test_each_subnet_of_this_host_is_a_pool_unless_another_holds_it(lab: Lab) -> None:
    for name, subnet, masq in (
        ("big", "10.60.0.0/16", False),
        ("inside", "10.60.7.0/24", True),
        ("six", "fd00:60::/64", True),
        ("again", "10.60.0.0/16", True),
    ):
        made = conf(name, {"type": "host-local", "subnet": subnet}, ipMasq=masq)
        lab.write(f"/etc/cni/net.d/{name}.conf", json.dumps(made))
    found = {d["spec"]["cidr"]: d["spec"] for d in documents(ran(lab, "export"))}
    assert set(found) == {"10.60.0.0/16", "fd00:60::/64"}
    assert [s.get("natOutgoing") for s in found.values()] == [True, True]
    assert [s["blockSize"] for s in found.values()] == [26, 122]


def test_what_changed_after_it_was_shown_is_shown_again(lab: Lab, etcd: Etcd, moved: dict[str, Any]) -> None:
    """Somebody answers, and between the question and the answer another host publishes."""
    assert moved
    pid, terminal = pty.fork()
    if pid == 0:
        argv = lab.command(f"{PLUGINS}/calico", "import", "--from", "local", "--to", etcd.url)
        os.execvpe(argv[0], argv, environment())
    seen = b""
    try:
        seen += until_asked(terminal)
        other = bare(json.loads(json.dumps(resource("Profile", "web", {"labelsToApply": {"web": ""}}))))
        etcd.put(PROFILE, {**other, "metadata": {**other["metadata"], "uid": "x", "creationTimestamp": "y"}})
        os.write(terminal, b"y\n")
        seen += until_closed(terminal)
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 1, seen
    assert b"a published profile changed meanwhile, of web; what is published now:" in seen
    assert b"web: the published profile was edited by hand; nothing was changed" in seen


def until_asked(terminal: int) -> bytes:
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(terminal, 4096)
    return seen


def until_closed(terminal: int) -> bytes:
    seen = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # what a terminal says when its other end is closed
            return seen
        if not more:
            return seen
        seen += more
