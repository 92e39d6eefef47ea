"""Ceilings of what calls cost, as counts and sizes: of a process of its own, and of an agent over many calls and idle.

What a call costs the warm agent is in tests/clients/test_counted.py. Who needs more says why, here.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller
from tests.clients.support.lab import until
from tests.faults.host import WEB, WatchedHost

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

MOST = {
    "ADD": {"all": 69, "fdatasync": 0, "sendto route": 7, "sendto nft": 29, "socket": 4, "clone3": 0},
    "DEL": {"all": 45, "fdatasync": 0, "sendto route": 2, "sendto nft": 21, "socket": 4, "clone3": 1},
}
"""Effects of one call by a process of its own, receiving not counted. Most of nftables' are questions: whether the host
is closed is asked rule by rule; at ADD, too, whether the network's device group leads to each of its three chains."""
CALLS = 80
MORE_MEMORY = 1 << 20
"""Bytes that an agent may grow by in so many ADDs and DELs, after it has done some."""
KEPT = 2 * 32 + 8
"""Netlink sockets of an agent: of routes and of nftables so many are kept each, and those that hear news. A DEL has two
until the kernel answers its removal, which beside others who end namespaces takes longer than the next calls."""
IDLE_SECONDS = 3.0
"""So long an idle agent sleeps, with all of its threads; before that it may have something to attest and compare."""


def counted(kinds: list[str]) -> Counter[str]:
    found = Counter(" ".join(kind.split()[: 2 if kind.startswith("sendto") else 1]) for kind in kinds)
    found["all"] = sum(n for kind, n in found.items() if not kind.startswith("recv"))
    return found


def test_a_call_by_a_process_of_its_own_stays_below_its_ceilings(binary: Path):
    host = WatchedHost(binary, "calico-rkt-lab-faults-counted")
    try:
        host.netns("c1")
        for verb, most in MOST.items():
            reply, watch = host.call(verb, "c1")
            assert reply.status == 0, reply
            found = counted(watch.kinds)
            assert {kind: found[kind] for kind in most if found[kind] > most[kind]} == {}, found
            assert found["sendto route"], "what is counted was seen"
    finally:
        host.close()


def status(pid: int, words: str) -> int:
    """A number of /proc/PID/task/*/status, over all threads."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(re.findall(rf"^{words}:\s+(\d+)", text, re.MULTILINE)[0]) for text in texts)


def woken_in(pid: int, seconds: float) -> int:
    """How often threads of a process woke in so many seconds."""
    before = status(pid, "voluntary_ctxt_switches")
    time.sleep(seconds)
    return status(pid, "voluntary_ctxt_switches") - before


def threads(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def memory(pid: int) -> int:
    return (
        int(re.findall(r"^Pss_Anon:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[0]) << 10
    )


def test_an_agent_grows_by_nothing_and_sleeps_while_nobody_calls(bare_lab):
    agent = Agent(bare_lab).start()
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    always = threads(agent.pid)

    def calls(number: int) -> None:
        for _ in range(number):
            cni.add(WEB, "c1", netns)
            cni.delete(WEB, "c1", netns)

    calls(CALLS // 2)
    before, (_, others) = memory(agent.pid), agent.descriptors()
    calls(CALLS)
    assert agent.counted("declined_total") == 0, "it has done them all"
    until(lambda: threads(agent.pid) <= always, "whoever asked for the metrics has gone")
    assert memory(agent.pid) - before <= MORE_MEMORY
    kept, now = agent.descriptors()
    assert now <= others + CALLS // 10
    assert 0 < kept <= KEPT, "sockets wait for their next use, as many as were in use at once"
    until(lambda: woken_in(agent.pid, IDLE_SECONDS) == 0, "what calls and news gave rise to is done, and nobody polls")
