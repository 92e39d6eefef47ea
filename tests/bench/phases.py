"""Where the time of an ADD and a DEL goes in a warm process: `python3 -m tests.bench phases`.

One process serves call after call, as the agent does, in network and mount namespaces of its own. A phase is one
function, timed around its calls; what it calls of another phase counts there alone.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from calico_rkt.plugin.calls import dispatch
from calico_rkt.plugin.cni.request import parse_request
from calico_rkt.plugin.enforce.nftables import NftablesEnforcer
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.process import log
from calico_rkt.plugin.store import local
from tests.bench import host
from tests.bench.host import PEER, conf, netns
from tests.bench.timing import fill

ROUNDS = 100
AT_ONCE, ENDPOINTS, LEASES = 16, 2000, 60_000
PHASES: tuple[tuple[str, Any, str], ...] = (
    ("the conf is read", sys.modules[__name__], "parse_request"),
    ("the log is opened", dispatch, "open_log"),
    ("the record is looked up", local.LocalStore, "endpoint"),
    ("a link without a record", pair, "delete_unrecorded"),
    ("the host's own networks", NftablesEnforcer, "check_host"),
    ("address and record", local.LocalStore, "add"),
    ("the pair, and inside", pair, "create"),
    ("nftables", NftablesEnforcer, "attach"),
    ("up, and routed", pair, "bring_up"),
    ("the result is recorded", local.LocalStore, "finish"),
    ("the pair is removed", pair, "delete"),
    ("nftables, taken out", NftablesEnforcer, "detach"),
    ("conntrack", pair, "forget_flows"),
    ("record and address are freed", local.LocalStore, "remove"),
    ("the store is closed", local.LocalStore, "close"),
    ("all else", sys.modules[__name__], "call"),
)


def call(command: str, name: str, conf: bytes) -> None:
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_NETNS": f"/run/netns/{name}", "CNI_IFNAME": "eth0"}
    dispatch.serve(parse_request(env, conf), lambda _result: None)


class Clock:
    """Milliseconds by phase; a phase's own time, without that of the phases inside of it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._inner = 0.0
        self._undo: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        for name, owner, attribute in PHASES:
            work = getattr(owner, attribute)
            self._undo.append((owner, attribute, work))
            setattr(owner, attribute, self._timed(name, work))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, attribute, work in self._undo:
            setattr(owner, attribute, work)

    def _timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **keywords: Any) -> Any:
            outer, self._inner = self._inner, 0.0
            begun = time.perf_counter()
            try:
                return work(*args, **keywords)
            finally:
                took = time.perf_counter() - begun
                self.spent[name] = self.spent.get(name, 0.0) + took - self._inner
                self._inner = outer + took

        return timed


def measure(conf: bytes) -> dict[str, dict[str, float]]:
    """By verb: the median of every phase, and of the whole, in milliseconds."""
    names = [f"m{i}" for i in range(ROUNDS + 5)]
    netns("add", names)
    figures: dict[str, list[dict[str, float]]] = {"ADD": [], "DEL": []}
    for name in names:
        for verb, rows in figures.items():
            with Clock() as clock:
                begun = time.perf_counter()
                call(verb, name, conf)
                clock.spent["in all"] = time.perf_counter() - begun
            rows.append(clock.spent)
            time.sleep(0.04)  # what the kernel still has to do after a removal is not the next call's time
    netns("del", names)
    out = {}
    for verb, rows in figures.items():
        warm = rows[5:]
        out[verb] = {
            p: statistics.median(r.get(p, 0.0) for r in warm) * 1e3 for p in [*(p[0] for p in PHASES), "in all"]
        }
    return out


def show(cases: dict[str, dict[str, dict[str, float]]]) -> None:
    for verb in ("ADD", "DEL"):
        print(f"\n{verb} in a warm process, by phase: medians of {ROUNDS}, ms")
        print(f"{'':<30}" + "".join(f"{case:>18}" for case in cases))
        for phase in [*(p[0] for p in PHASES), "in all"]:
            row = [case[verb][phase] for case in cases.values()]
            if any(row):
                print(f"{phase:<30}" + "".join(f"{ms:>18.3f}" for ms in row), flush=True)


def many(conf: bytes) -> list[str]:
    names = [f"many{i}" for i in range(ENDPOINTS)]
    netns("add", names)
    for name in names:
        call("ADD", name, conf)
    return names


def at_once() -> None:
    """The wall of sixteen ADDs and DELs at once: threads of this process beside as many processes of the peer."""
    ours, peer = conf("calico", "burst", "10.96.0.0/16"), conf("ptp", "peer", "10.94.0.0/16")
    figures: dict[str, list[float]] = {
        k: [] for k in ("ADD", "DEL", "ptp ADD", "ptp DEL", "one ptp ADD", "one ptp DEL")
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for turn in range(20):
            names = [f"b{turn}x{i}" for i in range(AT_ONCE)]
            theirs = [f"p{turn}x{i}" for i in range(AT_ONCE)]
            netns("add", [*names, *theirs])
            for verb in ("ADD", "DEL"):
                begun = time.perf_counter()
                list(pool.map(lambda n, verb=verb: call(verb, n, ours), names))
                figures[verb].append(time.perf_counter() - begun)
                figures[f"ptp {verb}"].append(host.at_once(PEER, verb, peer, theirs))
            figures["one ptp ADD"].append(host.call(PEER, "ADD", peer, theirs[0]))
            figures["one ptp DEL"].append(host.call(PEER, "DEL", peer, theirs[0]))
            netns("del", [*names, *theirs])
    a, b, c, d, e, f = (statistics.median(t[2:]) * 1e3 for t in figures.values())
    print(f"\n{AT_ONCE} at once, wall in ms and beside ptp's:")
    print(f"ADD {a:.1f}, {c:.1f}: {a / c:.2f}; DEL {b:.1f}, {d:.1f}: {b / d:.2f}")
    print(f"one ptp ADD {e:.1f}, one ptp DEL {f:.1f}")


def show_all() -> None:
    log.share_log()
    netns("add", ["first", "other"])
    few, full = conf("calico", "few", "10.93.0.0/16"), conf("calico", "full", "10.95.0.0/16")
    call("ADD", "first", few)
    call("ADD", "other", full)
    cases = {"one endpoint": measure(few)}
    at_once()
    fill("full", "10.95.0.0/16", LEASES)
    cases[f"{LEASES:,} leases"] = measure(full)
    many(few)
    cases[f"{ENDPOINTS:,} endpoints"] = measure(few)
    show(cases)
