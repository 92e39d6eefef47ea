"""A large host: 1,000 networks of 5 endpoints, then of 10, real links all. What an ADD and the commands take there.

A container has an interface in each of five or ten networks, so that there are no more namespaces than networks.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from calico_rkt.plugin.enforce.nft import messages, transactions
from calico_rkt.plugin.enforce.nft.closing import BESIDE
from calico_rkt.plugin.enforce.nft.elements import TABLE
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from calico_rkt.plugin.link import netlink
from tests.bench.host import ENVIRON, OURS, Agent, agent, call, conf, netns
from tests.bench.report import Fact, Report, Row
from tests.bench.timing import ROUNDS, SETTLE, added_and_removed, medians

NETWORKS, FEW, MANY = 1000, 5, 10
FLUSHES, PAUSE = 5, 0.002
CONFS = Path("/run/bench-confs")


def rows(report: Report) -> None:
    CONFS.mkdir()
    names = [f"n{n}" for n in range(NETWORKS)]
    netns("add", names)
    ours = conf("calico", "apart", "10.250.0.0/16")
    spare = [f"spare{i}" for i in range(ROUNDS + 1)]
    netns("add", spare)
    with agent() as warm:
        (none,) = medians([lambda i: added_and_removed(ours, spare[i])])
        _attach(names, range(FEW))
        _commands(report)
        _attach(names, range(FEW, MANY))
        (many,) = medians([lambda i: added_and_removed(ours, spare[i])])
        report.say(Row(f"ADD at {NETWORKS * MANY:,} endpoints in {NETWORKS:,} networks / at none", many, none, 1.8))
        _flushed(report, warm)


def _attach(names: list[str], interfaces: range) -> None:
    """One endpoint more in each network for each of these: container n's interface i is in network n + i."""
    for i in interfaces:
        for n, name in enumerate(names):
            if sys.stderr.isatty() and n % 50 == 0:
                print(f"\rattaching {i * NETWORKS + n:,} of {NETWORKS * MANY:,}", end="", file=sys.stderr)
            call(OURS, "ADD", _conf((n + i) % NETWORKS), name, f"eth{i}")


def _conf(number: int) -> bytes:
    text = conf("calico", f"net{number}", f"10.{number // 250}.{number % 250}.0/24")
    path = CONFS / f"net{number}.conf"
    if not path.exists():
        path.write_bytes(text)
    return text


def _commands(report: Report) -> None:
    """With nothing to change, as a process of the installed program each."""
    for words, most in (("status", 2.0), ("apply --yes", 3.0)):
        figures = []
        for _ in range(3):
            begun = time.perf_counter()
            done = subprocess.run(
                [OURS, *words.split(), "--confs", CONFS], env=ENVIRON, capture_output=True, check=False
            )
            figures.append(time.perf_counter() - begun)
            if done.returncode:
                sys.exit(f"bench: {words}: {done.stdout.decode()}{done.stderr.decode()}")
        what = f"{words.split()[0]}, nothing to change, {NETWORKS:,} networks of {FEW} endpoints"
        report.say(Fact(what, statistics.median(figures), most))


def _flushed(report: Report, warm: Agent) -> None:
    """How long the agent leaves this host open, and how long until all is as it was, after somebody's flush."""
    closed, whole = [], []
    for _ in range(FLUSHES):
        begun = _flush()
        closed.append(_until(lambda: _has(TABLE), begun))
        whole.append(_until(lambda: standing() is Standing.WHOLE and not _has(BESIDE), begun, pause=PAUSE))
        time.sleep(SETTLE * 10)
    size = f"after a flush, {NETWORKS:,} networks of {MANY} endpoints"
    report.say(Fact(f"closed {size}: median", statistics.median(closed) * 1e3, 2.0, "ms"))
    report.say(Fact("... the longest", max(closed) * 1e3, None, "ms"))
    report.say(Fact(f"whole {size}", statistics.median(whole), 1.5))
    report.say(Fact("the agent's memory afterwards", warm.memory(), 60, "MB"))


def _flush() -> float:
    """`flush ruleset`, as nft sends it; when the kernel has said that it is done.

    What is measured after it is asked in messages of this very process, too: libnftables forks for each use, and a
    look by it takes 10 ms, five times what is looked for.
    """
    everything = netlink.message(_DELETE_TABLE, netlink.REQUEST, bytes(4))
    with transactions.held() as socket:
        problem = socket.transaction([messages.begin(None), everything, messages.end()])
    if problem is not None:
        raise problem
    return time.perf_counter()


_DELETE_TABLE = 10 << 8 | 2  # NFT_MSG_DELTABLE of linux/netfilter/nf_tables.h; of no name: all


def _has(table: str) -> bool:
    with transactions.held() as socket:
        return socket.flags(table) is not None


def _until(claim: Callable[[], bool], begun: float, *, pause: float = 0) -> float:
    """Seconds until it holds; looked at again and again, with this pause, which leaves the processors to the agent."""
    while not claim():
        if time.perf_counter() - begun > 60:
            sys.exit("bench: the agent did not build the table anew")
        if pause:
            time.sleep(pause)
    return time.perf_counter() - begun
