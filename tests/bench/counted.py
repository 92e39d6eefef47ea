"""A running agent and a verb in; how many system calls its thread makes for one plain call, out."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.host import OURS, Agent, call, conf, netns
from tests.clients.support.strace import names as of_call
from tests.clients.support.strace import served

_TRACE = Path("/run/bench-trace")
_PATIENCE = 10.0
_SETTLED = 1.0
"""Threads that end what a DEL began are gone by then: one that ends can't be traced."""


def system_calls(agent: Agent, verb: str) -> int:
    """Of the last of some calls, none of them the first of its network; waiting for others is not counted."""
    net = conf("calico", "counted", "10.106.0.0/16")
    names = [f"counted{n}" for n in range(4)]
    netns("add", names)
    for name in names[1:]:
        call(OURS, "ADD", net, name)
    call(OURS, "DEL", net, names[1])
    pid = agent.process.pid
    time.sleep(_SETTLED)
    strace = subprocess.Popen(["strace", "-f", "-qq", "-s", "0", "-o", str(_TRACE), "-p", str(pid)])
    try:
        _until(lambda: all("TracerPid:\t0\n" not in s.read_text() for s in Path(f"/proc/{pid}/task").glob("*/status")))
        call(OURS, verb, net, names[0] if verb == "ADD" else names[2])
        _until(lambda: bool(served(_TRACE.read_text())))
    finally:
        strace.terminate()
        strace.wait()
    for name in names:
        call(OURS, "DEL", net, name)
    netns("del", names)
    return len(of_call(served(_TRACE.read_text())[0]))


def _until(claim: Callable[[], bool]) -> None:
    last = time.monotonic() + _PATIENCE
    while not claim():
        if time.monotonic() > last:
            raise SystemExit("bench: strace saw no call")
        time.sleep(0.02)
