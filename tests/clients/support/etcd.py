"""A lab in, etcd in it out: one member or several, as Calico would find them, read and written with etcdctl."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, TypeVar

from tests.clients.support.ipam_books import problems
from tests.clients.support.lab import Lab, conf, environment, until

RESOURCES = "/calico/resources/v3/projectcalico.org/"
ENDPOINTS = f"{RESOURCES}workloadendpoints/default/"
IPAM = "/calico/ipam/v2/"
NODE = "node1"


class Etcd:
    """One member of a cluster; its data goes with the lab. scheme and flags are for TLS."""

    def __init__(
        self, lab: Lab, name: str = "m1", port: int = 2379, *, scheme: str = "http", flags: tuple[str, ...] = ()
    ) -> None:
        self.lab, self.name, self.flags = lab, name, flags
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.peer = f"http://127.0.0.1:{port + 1}"
        self.process: subprocess.Popen[bytes] | None = None
        self.etcdctl_flags: tuple[str, ...] = ()

    def start(self, members: Mapping[str, str] | None = None) -> Etcd:
        """Start it and wait until it answers; members: name and peer URL of each, itself among them."""
        self.begin(members)
        return self.wait()

    def wait(self) -> Etcd:
        """Wait until it answers."""
        until(lambda: self.ctl("endpoint", "health").returncode == 0, "etcd answers")
        return self

    def begin(self, members: Mapping[str, str] | None = None) -> None:
        """Start it, without waiting."""
        cluster = ",".join(f"{n}={url}" for n, url in (members or {self.name: self.peer}).items())
        argv = ["etcd", "--name", self.name, "--data-dir", f"/run/etcd-{self.name}", "--enable-v2"]
        argv += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        argv += ["--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer]
        argv += ["--initial-cluster", cluster, *self.flags]
        self.process = self.lab.start(*argv, env=environment())

    def stop(self) -> None:
        """End it at once, as a power cut does; its data stays."""
        self.lab.run("pkill", "-9", "-f", f"data-dir /run/etcd-{self.name} ")
        assert self.process is not None
        self.process.wait(20)

    def ctl(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        env = environment({"ETCDCTL_API": "3"})
        return self.lab.run("etcdctl", f"--endpoints={self.url}", *self.etcdctl_flags, *argv, stdin=stdin, env=env)

    def put(self, key: str, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        done = self.ctl("put", key, stdin=text.encode())
        assert done.returncode == 0, done

    def delete(self, key: str) -> None:
        assert self.ctl("del", key).returncode == 0

    def dump(self, prefix: str = "/calico") -> dict[str, Any]:
        """Every key below prefix with its value as JSON."""
        done = self.ctl("get", "--prefix", prefix, "-w", "json")
        assert done.returncode == 0, done
        kvs = json.loads(done.stdout).get("kvs", [])
        return {b64decode(kv["key"]).decode(): json.loads(b64decode(kv.get("value", ""))) for kv in kvs}

    def requests(self) -> int:
        """How many requests the member has begun to serve, by its own count."""
        done = self.lab.out("curl", "-s", f"{self.url}/metrics")
        lines = [line for line in done.splitlines() if line.startswith("grpc_server_started_total")]
        return sum(int(line.split()[-1]) for line in lines)

    def bootstrap(self, *nodes: str) -> None:
        """What calico/node leaves at its first start: a datastore that is ready, and a Node of its own."""
        self.put(f"{RESOURCES}clusterinformations/default", resource("ClusterInformation", "default", READY))
        for name in nodes or (NODE,):
            self.put(f"{RESOURCES}nodes/{name}", resource("Node", name, {"bgp": {"ipv4Address": "192.0.2.1/24"}}))


E = TypeVar("E", bound=Etcd)


def three_members(lab: Lab, kind: type[E]) -> list[E]:
    """One cluster's members, each on ports of its own; the first one answers."""
    members = [kind(lab, f"m{n}", 2379 + 10 * n) for n in range(3)]
    peers = {m.name: m.peer for m in members}
    for member in members:
        member.begin(peers)
    members[0].wait()
    return members


READY = {"clusterGUID": "3cdaf81a9b264510b90fc13a3f8170e3", "datastoreReady": True}


def resource(kind: str, name: str, spec: Mapping[str, Any], **metadata: object) -> dict[str, Any]:
    """A resource as calicoctl stores it."""
    made = {"uid": "da1e4308-2e43-47e8-bb3b-c15cf2f8ca10", "creationTimestamp": "2026-11-23T23:19:58Z"}
    return {
        "kind": kind,
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": name, **made, **metadata},
        "spec": dict(spec),
    }


def cluster_conf(etcd: Etcd | str, network: str = "net1", subnet: str = "10.1.0.0/16", **keys: Any) -> dict[str, Any]:
    """A conf of this plugin for a Calico cluster, without Felix."""
    url = etcd if isinstance(etcd, str) else etcd.url
    ipam = keys.pop("ipam", {"type": "host-local", "subnet": subnet})
    ours = {"datastore_type": "etcdv3", "etcd_endpoints": url, "nodename": NODE, "require_felix": False}
    return conf(network, ipam, **{**ours, **keys})


def left_in(etcd: Etcd) -> dict[str, Any]:
    """What attachments left in the cluster: endpoints, handles, and blocks that have an address taken."""
    found = etcd.dump()
    return {
        key: value
        for key, value in found.items()
        if key.startswith((ENDPOINTS, f"{IPAM}handle/"))
        or ("/assignment/" in key and any(a is not None for a in value["allocations"]))
    }


def inconsistent(etcd: Etcd) -> list[str]:
    """What of IPAM's books doesn't add up: each address has a live handle and an endpoint, and the other way round."""
    return problems(etcd.dump())
