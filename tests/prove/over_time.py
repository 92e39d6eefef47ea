"""Seconds and a seed in; real packets all the while policies, tables, agents and the program change, as figures out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.clients.conftest import BINARY
from tests.clients.support.wire.over_time import Passed, through
from tests.prove.result import Result

CLAIM = """\
Random hosts whose two policies alternate, restores, agents that are ended, updates of the program and containers that
come and go, under packets of which both policies say the same: none passes that both deny, and none is lost that both
allow, but for flows that would begin while a restore builds the table. One apply of ten is the command; the others are
its act alone, since compiling decides on no packet."""
_SWAPS = 200
_AROUND = ("apply", "visit", "restore", "apply", "agent dies", "visit", "update", "apply", "visit")


def run(seed: int, seconds: float) -> Result:
    begun, done, hosts = time.monotonic(), Passed(), 0

    def changes() -> Iterator[str]:
        """Until the time is over: at once what is rare, then 200 applies."""
        yield from _AROUND
        for number in range(1, _SWAPS + 1):
            if time.monotonic() - begun > seconds:
                return
            yield "apply" if number % 10 == 0 else "swap"

    while not done.wrong and (not hosts or time.monotonic() - begun < seconds):
        with tempfile.TemporaryDirectory() as folder:
            done += through(BINARY, Path(folder) / "files", seed + hosts, changes())
        hosts += 1
        print(f"over_time: {hosts} hosts, {done}, {len(done.wrong)} wrong", flush=True)
    figures = {
        "hosts": hosts,
        "applies": done.changes["apply"] + done.changes["swap"],
        "... by the command": done.changes["apply"],
        **{what: count for what, count in done.changes.items() if what not in ("apply", "swap")},
        "packets": done.packets,
        "... that arrived, as both policies say": done.arrived,
        "... that would begin a flow in a restore, and did not": len(done.lost),
    }
    test = "tests/clients/test_wire_over_time.py"
    return Result("over_time", CLAIM, test, seed, round(time.monotonic() - begun), figures, done.wrong)
