"""Other plugins' ADD and DEL in turn with ours, policy included where they have one: `python3 -m tests.bench peers`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import host

ROUNDS = 40
_CNI = Path("/usr/lib/cni")
_BRIDGE = {"type": "bridge", "bridge": "bench0", "isGateway": True}
_FIREWALL = {"type": "firewall", "ingressPolicy": "same-bridge"}
Chain = Sequence[tuple[Path, Mapping[str, Any]]]


def main() -> int:
    """Print a table; each round calls every plugin once, so that all have the same neighbours on a busy machine."""
    host.prepare()
    os.environ.update(host.ENVIRON)
    ours: Chain = [(host.OURS, {"type": "calico", "ipam": _pool(1)})]
    chains: dict[str, Chain] = {
        "calico-rkt, no agent": ours,
        "ptp": [(_CNI / "ptp", {"type": "ptp", "ipam": _pool(2)})],
        "bridge": [(_CNI / "bridge", {**_BRIDGE, "ipam": _pool(3)})],
        "bridge, firewall same-bridge": [
            (_CNI / "bridge", {**_BRIDGE, "bridge": "bench1", "ipam": _pool(4)}),
            (_CNI / "firewall", _FIREWALL),
        ],
    }
    cold = _measured({name: chains[name] for name in ("calico-rkt, no agent", "ptp")}, ROUNDS // 4)
    del chains["calico-rkt, no agent"]
    with host.agent():
        warm = _measured({"calico-rkt": ours, **chains}, ROUNDS)
    print(f"peers: medians of {ROUNDS}, every plugin once a round, in ms, and beside ours in the same rounds")
    print(f"{'plugin':<32}{'ADD':>8}{'DEL':>8}{'ADD/ours':>11}")
    for found, base in ((warm, "calico-rkt"), (cold, "calico-rkt, no agent")):
        for name, (add, delete) in found.items():
            if found is warm or name == base:
                print(f"{name:<32}{add:>8.1f}{delete:>8.1f}{add / found[base][0]:>11.2f}")
    return 0


def _pool(n: int) -> dict[str, Any]:
    own = {} if n == 1 else {"dataDir": "/run/host-local"}
    return {"type": "host-local", "subnet": f"10.{90 + n}.0.0/16", **own}


def _measured(chains: Mapping[str, Chain], rounds: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of ADD and DEL; the first round, in which tables and bridges are made, does not count."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in chains}
    for n in range(rounds + 1):
        for place, (name, chain) in enumerate(chains.items()):
            container = f"peer-{n}-{place}"
            host.netns("add", [container])
            pair = _called(name, chain, container)
            host.netns("del", [container])
            if n:
                took[name].append(pair)
    return {
        name: (1000 * statistics.median(a for a, _ in pairs), 1000 * statistics.median(d for _, d in pairs))
        for name, pairs in took.items()
    }


def _called(name: str, chain: Chain, container: str) -> tuple[float, float]:
    """Seconds of a chain's ADD and of its DEL, each plugin a process, as libcni calls them."""
    head = {"cniVersion": "1.0.0", "name": "".join(c for c in name if c.isalpha())}
    previous: dict[str, Any] = {}
    begin = time.perf_counter()
    for binary, conf in chain:
        more = {"prevResult": previous} if previous else {}
        previous = json.loads(_call(binary, "ADD", {**head, **conf, **more}, container))
    between = time.perf_counter()
    for binary, conf in reversed(chain):
        _call(binary, "DEL", {**head, **conf, "prevResult": previous}, container)
    return between - begin, time.perf_counter() - between


def _call(binary: Path, command: str, conf: Mapping[str, Any], container: str) -> bytes:
    env = host.environment(command, container)
    done = subprocess.run([str(binary)], input=json.dumps(conf).encode(), env=env, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {binary.name} {command}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout
