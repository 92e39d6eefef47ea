"""etcd in, for the time of a few rows: one member for both APIs, and a cluster in it as calico/node leaves it.

For the namespaces of `make bench`, where /run is a tmpfs, so that the rows are about round trips and not about
somebody's disk. There is no Felix.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

URL, PEER_URL = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
RESOURCES = "/calico/resources/v3/projectcalico.org"
KEYS = {"etcd_endpoints": URL, "nodename": "bench", "require_felix": False}
"""What a conf of that cluster has beside its datastore_type."""
_STARTS = 200


@contextmanager
def etcd() -> Iterator[str]:
    """What is missing, in words; nothing where it runs."""
    if not shutil.which("etcd") or not shutil.which("etcdctl"):
        yield "etcd is not installed"
        return
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
        _ctl("set", "/calico/v1/Ready", "true", api="2")
        yield ""
    finally:
        process.kill()
        process.wait()


def _put(kind: str, place: str, spec: Mapping[str, object]) -> None:
    made = {"uid": "da1e4308-2e43-47e8-bb3b-c15cf2f8ca10", "creationTimestamp": "2026-11-23T23:19:58Z"}
    metadata = {"name": place.rpartition("/")[2], **made}
    value = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": metadata, "spec": spec}
    done = _ctl("put", f"{RESOURCES}/{place}", stdin=json.dumps(value).encode())
    if done.returncode:
        raise SystemExit(f"bench: etcdctl put {place}: {done.stderr.decode()}")


def _ctl(*argv: str, stdin: bytes = b"", api: str = "3") -> subprocess.CompletedProcess[bytes]:
    env = os.environ | {"ETCDCTL_API": api}
    return subprocess.run(
        ["etcdctl", f"--endpoints={URL}", *argv], input=stdin, capture_output=True, env=env, check=False
    )
