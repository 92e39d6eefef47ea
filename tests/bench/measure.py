"""The measurements of `make bench`, inside its own namespaces; prints one table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.cluster import rows

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ROOT / "dist" / "calico"
PEER = Path("/usr/lib/cni/ptp")
ROUNDS = 20
ENDPOINTS = 1000
ENVIRON = {
    "CALICO_RKT_RUN_DIR": "/run/calico-rkt",
    "CALICO_RKT_LIB_DIR": "/run/calico-rkt-lib",
    "CNI_PATH": "/usr/lib/cni",
    "PATH": os.environ["PATH"],
}


def conf(kind: str, name: str, subnet: str) -> bytes:
    ipam = {"type": "host-local", "subnet": subnet}
    if kind == "ptp":
        ipam["dataDir"] = "/run/host-local"
    return json.dumps({"cniVersion": "1.0.0", "name": name, "type": kind, "ipam": ipam}).encode()


def cni(binary: Path, command: str, conf: bytes, container: str) -> float:
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
        sys.exit(f"bench: {binary.name} {command}: {done.stdout.decode()}{done.stderr.decode()}")
    return took


def netns(name: str) -> None:
    subprocess.run(["ip", "netns", "add", name], check=True)


def wall(*argv: str) -> float:
    begin = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def pairs(one: Callable[[int], float], other: Callable[[int], float]) -> tuple[float, float]:
    """Medians of both, run in turn after one uncounted round."""
    one(-1), other(-1)
    figures = [(one(i), other(i)) for i in range(ROUNDS)]
    return statistics.median(f[0] for f in figures), statistics.median(f[1] for f in figures)


def attach_and_detach() -> None:
    ours, peer = conf("calico", "bench", "10.93.0.0/16"), conf("ptp", "peer", "10.94.0.0/16")
    times: dict[str, list[float]] = {k: [] for k in ("a", "b", "c", "d")}
    for i in range(ROUNDS + 1):
        netns(f"o{i}"), netns(f"p{i}")
        row = (
            cni(OURS, "ADD", ours, f"o{i}"),
            cni(PEER, "ADD", peer, f"p{i}"),
            cni(OURS, "DEL", ours, f"o{i}"),
            cni(PEER, "DEL", peer, f"p{i}"),
        )
        if i:
            for key, took in zip(times, row, strict=True):
                times[key].append(took)
    a, b, c, d = (statistics.median(t) for t in times.values())
    line("ADD one-shot / ptp with host-local", a, b)
    line("DEL one-shot / ptp with host-local", c, d)


def growth() -> None:
    """An ADD with ENDPOINTS attached against one with a single endpoint attached."""
    ours = conf("calico", "grow", "10.95.0.0/16")
    netns("first")
    cni(OURS, "ADD", ours, "first")
    few = [_add_and_remove(ours, f"few{i}") for i in range(ROUNDS)]
    _fill(ours)
    many = [_add_and_remove(ours, f"many{i}") for i in range(ROUNDS)]
    line(f"ADD with {ENDPOINTS} endpoints / with one", statistics.median(many), statistics.median(few))


def _add_and_remove(ours: bytes, name: str) -> float:
    netns(name)
    took = cni(OURS, "ADD", ours, name)
    cni(OURS, "DEL", ours, name)
    subprocess.run(["ip", "netns", "del", name], check=True)
    return took


def _fill(ours: bytes) -> None:
    from calico_rkt.plugin.request import parse_request
    from calico_rkt.plugin.verbs import serve

    os.environ.update(ENVIRON)
    for i in range(ENDPOINTS):
        if sys.stderr.isatty() and i % 50 == 0:
            print(f"\rattaching {i} of {ENDPOINTS}", end="", file=sys.stderr)
        netns(f"fill{i}")
        env = ENVIRON | {
            "CNI_COMMAND": "ADD",
            "CNI_CONTAINERID": f"fill{i}",
            "CNI_NETNS": f"/run/netns/fill{i}",
            "CNI_IFNAME": "eth0",
        }
        serve(parse_request(env, ours), lambda _result: None)


def compile_profile() -> None:
    net = ROOT / "docs/examples/two-networks/web.conf"
    ours, peer = pairs(
        lambda _: wall(str(ROOT / ".venv/bin/compile-profile"), str(net)),
        lambda _: wall(sys.executable, "-c", "import jinja2, yaml"),
    )
    line("compile-profile / python3 -c 'import jinja2, yaml'", ours, peer)


def cluster() -> None:
    for row in rows(OURS):
        if row.skipped:
            print(f"{row.what:<52} skipped: {row.skipped}", flush=True)
        else:
            line(row.what, row.ours, row.peer)


def line(what: str, ours: float, peer: float) -> None:
    print(f"{what:<52} {ours * 1e3:>9.1f} {peer * 1e3:>9.1f} {ours / peer:>7.2f}", flush=True)


def main() -> int:
    for folder in ("/run", "/var/log"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"medians of {ROUNDS}, milliseconds of wall time, in turn with the peer")
    print(f"{'what':<52} {'ours':>9} {'peer':>9} {'ratio':>7}")
    compile_profile()
    attach_and_detach()
    cluster()
    growth()
    return 0
