"""A folder, a number of networks, and a command's words in: a host of that size, and what its commands cost, out.

usage: unshare -n python sized_host.py FOLDER NETWORKS. Five endpoints a network, each with a record, a published
profile and its elements in a real table; without their links, so `status` has them to name, and looks twice.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
from ipaddress import ip_address, ip_network
from pathlib import Path

ROOT, COUNT = Path(sys.argv[1]), int(sys.argv[2])
os.environ |= {f"CALICO_RKT_{n}_DIR": str(ROOT / n.lower()) for n in ("RUN", "LIB")}
os.environ["CALICO_RKT_LOG"] = str(ROOT / "log")

from calico_rkt.compiler.conf.parse import parse_conf  # noqa: E402
from calico_rkt.plugin.commands.restore import restored  # noqa: E402
from calico_rkt.plugin.commands.tree import main  # noqa: E402
from calico_rkt.plugin.enforce.compiled import compile_published  # noqa: E402
from calico_rkt.plugin.model import Endpoint, Key  # noqa: E402
from calico_rkt.plugin.store import local, rows  # noqa: E402


def build() -> None:
    confs = ROOT / "net.d"
    confs.mkdir()
    store = local.open_local()
    for n in range(COUNT):
        ipam = {"type": "host-local", "subnet": f"10.{n // 250}.{n % 250}.0/24"}
        text = json.dumps({"cniVersion": "1.0.0", "name": f"net{n}", "type": "calico", "ipam": ipam})
        (confs / f"net{n}.conf").write_text(text)
        conf, _ = parse_conf(text.encode())
        store.publish(compile_published(conf))
    with store._state.write() as tables:
        for n in range(COUNT):
            net = ip_network(f"10.{n // 250}.{n % 250}.0/24")
            for e in range(5):
                key, ifname = Key(f"net{n}", f"c{n}-{e}", "eth0"), f"crk{n:06x}{e:06x}"
                address = (ip_address(net[e + 2]),)
                made = Endpoint(key, f"{n:08x}{e:08x}", "/n", 4, 5 * n + e, ifname, "02:00:00:00:00:01", address)
                rows.insert_endpoint(tables, made)
                rows.finish(tables, key, made.nonce, "{}")
            rows.record_subnets(tables, f"net{n}", frozenset({str(net)}), frozenset())
    assert restored(store)[0].endpoints == 5 * COUNT


def cost(*argv: str) -> tuple[float, float, int, str]:
    """Seconds of processor, seconds on the clock, exit status and the last line of a command."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        status = main([*argv])
    after, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, took, status, (said.getvalue().splitlines() or [""])[-1]


build()
confs = ("--confs", str(ROOT / "net.d"))
commands = {
    "status": ("status", "--no-agent", *confs),
    "apply": ("apply", "--yes", *confs),
    "prune": ("prune", "--yes", *confs),
    "restore": ("restore",),
}
found = {name: cost(*argv) for name, argv in commands.items()}
json.dump(found, sys.stdout)
