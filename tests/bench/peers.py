"""Others' ADD with policy, and the kernel's part alone, in turn with ours, which has an agent."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.bench import host
from tests.bench.attach import OF_AN_ADD
from tests.bench.report import Report, Row
from tests.bench.timing import SETTLE

ROUNDS = 40
_CNI = Path("/usr/lib/cni")
_NETAVARK = Path("/usr/lib/podman/netavark")
_SOURCE = Path(__file__).parent / "programs" / "floor.c"
_FLOOR = Path("/run/bench-floor")
_FIRST_INDEX = 500_000
Add = Callable[[int, str], float]
"""A round's number and a namespace's name in, seconds out."""


def rows(report: Report) -> None:
    subprocess.run(["cc", "-O2", "-static", "-o", _FLOOR, _SOURCE], check=True)
    for line in ("add table inet floor", "add set inet floor ends { type ipv4_addr; }"):
        subprocess.run(["nft", line], check=True)
    others: dict[str, tuple[Add, float]] = {
        "the kernel's part alone, a static C program": (_floor, 1.5),
        "bridge + host-local": (_chained("bench0", 3), 1.0),
        "bridge + host-local + firewall, same-bridge": (_chained("bench1", 4, {"type": "firewall"}), 0.06),
    }
    if _NETAVARK.exists():
        others["netavark, isolate"] = (_netavark, 0.06)
    else:
        report.lacks("netavark is not installed")
    with host.agent():
        ours, theirs = _measured({name: add for name, (add, _) in others.items()})
    for name, (_, bound) in others.items():
        report.say(Row(f"ADD / {name}", ours, theirs[name], bound, made_of=OF_AN_ADD))


def _measured(others: Mapping[str, Add]) -> tuple[float, dict[str, float]]:
    """Medians in milliseconds; each round calls each once, and the first, in which bridges are made, does not count.

    Before each the kernel gets time to finish what the last one left: it ends a namespace with the lock in its hands
    that every ADD wants, and a socket of nftables closes when what our DEL has deleted is gone: 4.9 ms for the floor.
    Others' changes of nftables make our next call look at the whole table: one that is not counted does that.
    """
    took: dict[str, list[float]] = {"": [], **{name: [] for name in others}}
    calls: dict[str, Add] = {"": _ours, **others}
    for n in range(ROUNDS + 1):
        for place, (name, add) in enumerate(calls.items()):
            container = f"peer-{n}-{place}"
            host.netns("add", [container])
            if name == "":
                _ours(n, container)
                host.call(host.OURS, "DEL", _OURS, container)
            time.sleep(SETTLE)
            seconds = add(n, container)
            if name == "":
                host.call(host.OURS, "DEL", _OURS, container)
            host.netns("del", [container])
            if n:
                took[name].append(seconds)
    found = {name: statistics.median(figures) * 1e3 for name, figures in took.items()}
    return found.pop(""), found


_OURS = host.conf("calico", "peers", "10.91.0.0/16")


def _ours(_: int, container: str) -> float:
    return host.call(host.OURS, "ADD", _OURS, container)


def _floor(n: int, container: str) -> float:
    argv = f"/run/netns/{container} floor{n} {_FIRST_INDEX + n} 10.92.{n // 250}.{n % 250 + 1}".split()
    return host.wall(str(_FLOOR), *argv)


def _chained(bridge: str, number: int, *more: Mapping[str, Any]) -> Add:
    """A list of the reference plugins, each a process, as libcni calls them."""
    ipam = {"type": "host-local", "subnet": f"10.{90 + number}.0.0/16", "dataDir": "/run/host-local"}
    first = {"type": "bridge", "bridge": bridge, "isGateway": True, "ipam": ipam}
    same = {"ingressPolicy": "same-bridge"} if more else {}

    def add(_: int, container: str) -> float:
        previous: dict[str, Any] = {}
        begun = time.perf_counter()
        for one in (first, *more):
            given = {"cniVersion": "1.0.0", "name": bridge, **one, **same}
            given |= {"prevResult": previous} if previous else {}
            env = host.environment("ADD", container)
            argv = [str(_CNI / str(one["type"]))]
            done = subprocess.run(argv, input=json.dumps(given).encode(), env=env, capture_output=True, check=False)
            if done.returncode:
                sys.exit(f"bench: {argv[0]}: {done.stdout.decode()}{done.stderr.decode()}")
            previous = json.loads(done.stdout)
        return time.perf_counter() - begun

    return add


def _netavark(n: int, container: str) -> float:
    """netavark as podman calls it, but for the address, which podman has chosen before."""
    name, subnet = "bench", "10.97.0.0/16"
    network = {
        "name": name,
        "id": sha256(name.encode()).hexdigest(),
        "driver": "bridge",
        "network_interface": "podman7",
        "subnets": [{"subnet": subnet, "gateway": "10.97.0.1"}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "options": {"isolate": "true"},
        "ipam_options": {"driver": "host-local"},
    }
    asked = {
        "container_id": sha256(container.encode()).hexdigest(),
        "container_name": container,
        "networks": {name: {"interface_name": "eth0", "static_ips": [f"10.97.{n // 250}.{n % 250 + 2}"]}},
        "network_info": {name: network},
    }
    argv = [str(_NETAVARK), "--config", "/run/bench-netavark", "setup", f"/run/netns/{container}"]
    begun = time.perf_counter()
    done = subprocess.run(argv, input=json.dumps(asked).encode(), capture_output=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"bench: netavark: {done.stdout.decode()}{done.stderr.decode()}")
    return took
