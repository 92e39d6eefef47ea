"""The plugin's file in, rows out: an ADD and a DEL with each kind of etcd, in turn with ptp and host-local.

For the namespaces of `make bench`, where /run is a tmpfs: etcd runs here, one member, with its data in memory, so that
the rows are about round trips and not about somebody's disk. The cluster is as calico/node leaves it, without Felix.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PEER = Path("/usr/lib/cni/ptp")
URL, PEER_URL = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
RESOURCES = "/calico/resources/v3/projectcalico.org"
ENVIRON = {
    "CALICO_RKT_RUN_DIR": "/run/calico-rkt",
    "CALICO_RKT_LIB_DIR": "/run/calico-rkt-lib",
    "CALICO_IPAM_LOCK_FILE": "/run/calico-ipam.lock",
    "CNI_PATH": "/usr/lib/cni",
    "PATH": os.environ["PATH"],
}
_UNSUPPORTED = 2
_STARTS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """Medians in seconds of what is measured, ours and the peer's; skipped says why there are none."""

    what: str
    ours: float = 0.0
    peer: float = 0.0
    skipped: str = ""


class FailedError(Exception):
    """A call of the bench that should have succeeded; code is CNI's."""

    def __init__(self, code: int, words: str) -> None:
        self.code = code
        super().__init__(words)


def rows(binary: Path, rounds: int = 30) -> list[Row]:
    """Two rows for each kind of etcd."""
    try:
        with _etcd():
            return [row for kind in ("etcdv3", "etcdv2") for row in _rows(binary, kind, rounds)]
    except FileNotFoundError as e:
        return [Row("ADD and DEL with etcd", skipped=f"{e.filename} is not installed")]


def _rows(binary: Path, kind: str, rounds: int) -> list[Row]:
    ours = _conf("calico", f"bench-{kind}", {"etcdv3": "10.96.0.0/16", "etcdv2": "10.97.0.0/16"}[kind], kind)
    peer = _conf("ptp", f"peer-{kind}", {"etcdv3": "10.98.0.0/16", "etcdv2": "10.99.0.0/16"}[kind])
    times: dict[str, list[float]] = {"ADD": [], "DEL": [], "peer ADD": [], "peer DEL": []}
    for number in range(rounds + 1):
        one, other = f"{kind}-o{number}", f"{kind}-p{number}"
        for name in (one, other):
            subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            took = (_call(binary, "ADD", ours, one), _call(PEER, "ADD", peer, other))
        except FailedError as e:
            if e.code == _UNSUPPORTED and not number:
                return [Row(f"ADD and DEL one-shot, {kind}", skipped=str(e))]
            raise
        took += (_call(binary, "DEL", ours, one), _call(PEER, "DEL", peer, other))
        for name in (one, other):
            subprocess.run(["ip", "netns", "del", name], check=True)
        if number:  # the first makes the profile, the pool and the block
            for key, seconds in zip(("ADD", "peer ADD", "DEL", "peer DEL"), took, strict=True):
                times[key].append(seconds)
    medians = {key: statistics.median(found) for key, found in times.items()}
    return [
        Row(f"{verb} one-shot, {kind} / ptp with host-local", medians[verb], medians[f"peer {verb}"])
        for verb in ("ADD", "DEL")
    ]


def _conf(plugin: str, name: str, subnet: str, kind: str = "") -> bytes:
    ipam = {"type": "host-local", "subnet": subnet}
    more: dict[str, object] = {}
    if plugin == "ptp":
        ipam["dataDir"] = "/run/host-local"
    else:
        more = {"datastore_type": kind, "etcd_endpoints": URL, "nodename": "bench", "require_felix": False}
    return json.dumps({"cniVersion": "1.0.0", "name": name, "type": plugin, "ipam": ipam, **more}).encode()


def _call(binary: Path, command: str, conf: bytes, container: str) -> float:
    """One call; seconds of wall time, as a runtime sees it."""
    env = ENVIRON | {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": f"/run/netns/{container}",
        "CNI_IFNAME": "eth0",
    }
    begin = time.perf_counter()
    done = subprocess.run([str(binary)], input=conf, env=env, capture_output=True, check=False)
    took = time.perf_counter() - begin
    if done.returncode:
        error = json.loads(done.stdout)
        raise FailedError(error["code"], f"{binary.name} {command}: {error['msg']}")
    return took


@contextmanager
def _etcd() -> Iterator[None]:
    """One member for both APIs, with a cluster in it that is ready and knows this node."""
    argv = ["etcd", "--name", "bench", "--data-dir", "/run/bench-etcd", "--enable-v2", "--log-level", "error"]
    argv += ["--listen-client-urls", URL, "--advertise-client-urls", URL]
    argv += ["--listen-peer-urls", PEER_URL, "--initial-advertise-peer-urls", PEER_URL]
    argv += ["--initial-cluster", f"bench={PEER_URL}"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(_STARTS):
            if _ctl("endpoint", "health").returncode == 0:
                break
            time.sleep(0.05)
        _put("ClusterInformation", "clusterinformations/default", {"datastoreReady": True})
        _put("Node", "nodes/bench", {"bgp": {"ipv4Address": "192.0.2.1/24"}})
        subprocess.run(
            ["etcdctl", f"--endpoints={URL}", "set", "/calico/v1/Ready", "true"],
            env=os.environ | {"ETCDCTL_API": "2"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        yield
    finally:
        process.kill()
        process.wait()


def _put(kind: str, place: str, spec: Mapping[str, object]) -> None:
    made = {"uid": "da1e4308-2e43-47e8-bb3b-c15cf2f8ca10", "creationTimestamp": "2026-11-23T23:19:58Z"}
    metadata = {"name": place.rpartition("/")[2], **made}
    value = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata, "spec": spec}
    done = _ctl("put", f"{RESOURCES}/{place}", stdin=json.dumps(value).encode())
    if done.returncode:
        raise FailedError(0, f"etcdctl put {place}: {done.stderr.decode()}")


def _ctl(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = os.environ | {"ETCDCTL_API": "3"}
    return subprocess.run(
        ["etcdctl", f"--endpoints={URL}", *argv], input=stdin, capture_output=True, env=env, check=False
    )
