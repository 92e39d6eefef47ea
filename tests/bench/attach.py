"""The attach path with an agent, beside ptp with host-local: one by one, at once, under load, in a full pool."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from calico_rkt.plugin.store import local
from tests.bench import flows
from tests.bench.counted import system_calls
from tests.bench.host import OURS, PEER, Agent, agent, at_once, call, conf, netns
from tests.bench.report import Fact, Report, Row
from tests.bench.timing import ROUNDS, added_and_removed, fill, medians, pairs

BURSTS = 30
AT_ONCE = 16
LEASES = 60_000
LOAD_CLIENTS, LOAD_CALLS = 16, 2000
IDLE_SECONDS = 5.0
CHAIN = 10
OF_AN_ADD = """\
0.9 ms until the agent has answered (60 system calls, some 0.5 ms of them the kernel's; the rest is Python, and flat), \
0.6 ms the launcher's own process, the rest wake-ups of processors that were idle. decisions/106 has what was tried."""
_OF_MANY = """\
of 26 ms some 20 are processor time: 1.0 ms of the agent and 0.6 of a launcher, 16 times, on two processors. Nothing \
waits for a lock: fewer threads, and the interpreter given away while the kernel works, took as long."""
_OF_FLOWS = """\
where a link goes, the kernel walks all flows for masquerading, on the same processor and whenever it has time: for \
the link and for its link-local address (`masq_device_event`, `masq_inet6_event`), which an endpoint of IPv4 alone \
has not. A walk through 262,144 buckets took some 10 ms of a busy processor; DEL is 1.2 to 1.9 from run to run. A DEL \
of a higher priority hid it, and its unit would need more rights."""


def rows(report: Report) -> None:
    with agent() as warm:
        _one_by_one(report)
        _back_to_back(report)
        _together(report)
        _load(report, warm)
        _full_pool(report)
        _idle(report, warm)
        for verb, many, few in flows.pairs(medians, ROUNDS):
            report.say(
                Row(
                    f"{verb} with {flows.FLOWS:,} flows of both families / with none", many, few, 1.3, made_of=_OF_FLOWS
                )
            )
        for verb, most in (("ADD", 60), ("DEL", None)):
            report.say(Fact(f"system calls of a plain {verb} in the agent", system_calls(warm, verb), most, ""))


def _one_by_one(report: Report) -> None:
    ours, peer = conf("calico", "bench", "10.92.0.0/16"), conf("ptp", "peer", "10.93.0.0/16")
    add, peer_add, delete, peer_delete = pairs(ours, peer, "one")
    report.say(Row("ADD / ptp with host-local", add, peer_add, 0.27, made_of=OF_AN_ADD))
    report.say(Row("DEL / ptp with host-local", delete, peer_delete, 0.95))


def _back_to_back(report: Report) -> None:
    """With no pause at all, so that what the kernel still has to do after a DEL counts, too."""
    ours, peer = conf("calico", "chain", "10.104.0.0/16"), conf("ptp", "peer-chain", "10.105.0.0/16")
    netns("add", ["chain", "chainp"])

    def chain(binary: Path, given: bytes, name: str) -> float:
        begun = time.perf_counter()
        for _ in range(CHAIN):
            call(binary, "ADD", given, name)
            call(binary, "DEL", given, name)
        return (time.perf_counter() - begun) / CHAIN

    mine, theirs = medians([lambda _: chain(OURS, ours, "chain"), lambda _: chain(PEER, peer, "chainp")], 10)
    report.say(Row("ADD and DEL back to back, one container / ptp's", mine, theirs, 1.0))
    netns("del", ["chain", "chainp"])


def _together(report: Report) -> None:
    ours, peer = conf("calico", "burst", "10.94.0.0/16"), conf("ptp", "peer-burst", "10.95.0.0/16")
    mine = [f"b{i}" for i in range(AT_ONCE)]
    theirs = [f"p{i}" for i in range(AT_ONCE)]

    def fresh(_: int) -> float:
        netns("add", [*mine, *theirs])
        return 0.0

    def gone(_: int) -> float:
        netns("del", [*mine, *theirs])
        return 0.0

    _, add, peer_add, delete, peer_delete, _ = medians(
        [
            fresh,
            lambda _: at_once(OURS, "ADD", ours, mine),
            lambda _: at_once(PEER, "ADD", peer, theirs),
            lambda _: at_once(OURS, "DEL", ours, mine),
            lambda _: at_once(PEER, "DEL", peer, theirs),
            gone,
        ],
        BURSTS,
    )
    report.say(Row(f"{AT_ONCE} ADDs at once, wall / ptp's", add, peer_add, 0.27, made_of=_OF_MANY))
    report.say(Row(f"{AT_ONCE} DELs at once, wall / ptp's", delete, peer_delete, 0.4))


def _load(report: Report, warm: Agent) -> None:
    """Many calls from many clients; what fails ends the bench."""
    ours = conf("calico", "load", "10.96.0.0/16")
    names = [f"load{i}" for i in range(LOAD_CLIENTS)]
    netns("add", names)
    for _ in range(LOAD_CALLS // LOAD_CLIENTS // 4):
        at_once(OURS, "ADD", ours, names)
        at_once(OURS, "DEL", ours, names)
    before = warm.memory()
    begun = time.perf_counter()
    for _ in range(LOAD_CALLS // LOAD_CLIENTS):
        at_once(OURS, "ADD", ours, names)
        at_once(OURS, "DEL", ours, names)
    took = time.perf_counter() - begun
    grown = warm.memory() - before
    netns("del", names)
    report.say(
        Fact(
            f"{LOAD_CALLS:,} ADDs and DELs from {LOAD_CLIENTS} clients: calls", 2 * LOAD_CALLS / took, None, "a second"
        )
    )
    report.say(Fact("what they left: links and records", _left(), 0, ""))
    report.say(Fact("what the agent's memory grew by meanwhile", grown, 2, "MB"))


def _left() -> int:
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    store = local.open_local()
    try:
        return sum(link["ifname"].startswith("crk") for link in links) + len(store.endpoints())
    finally:
        store.close()


def _full_pool(report: Report) -> None:
    """What costs in a full pool is to find a free address."""
    empty, full = conf("calico", "empty", "10.101.0.0/16"), conf("calico", "full", "10.102.0.0/16")
    netns("add", ["first"])
    call(OURS, "ADD", full, "first")
    fill("full", "10.102.0.0/16", LEASES)
    names = [f"fill{i}" for i in range(ROUNDS + 1)]
    netns("add", names)
    many, few, *_ = medians(
        [
            lambda i: added_and_removed(full, names[i]),
            lambda i: added_and_removed(empty, names[i]),
        ]
    )
    report.say(Row(f"ADD, a /16 with {LEASES:,} taken / an empty one", many, few, 1.2))
    netns("del", names)
    call(OURS, "DEL", full, "first")
    store = local.open_local()
    for endpoint in store.endpoints("full"):
        store.remove(endpoint.key, endpoint.nonce)
    store.close()


def _idle(report: Report, warm: Agent) -> None:
    time.sleep(0.5)
    ticks, switches = warm.ticks(), warm.switches()
    time.sleep(IDLE_SECONDS)
    used, woken = warm.ticks() - ticks, warm.switches() - switches
    report.say(Fact(f"the idle agent's processor time in {IDLE_SECONDS:.0f} s", used * 10, 0, "ms"))
    report.say(Fact("how often its threads woke", woken, 0, "times"))
