"""Seconds and a seed in; random histories of calls, commands and mishaps against a model, as figures out."""

from __future__ import annotations

import random
import time

from tests.clients.conftest import BINARY
from tests.faults.histories import prepared, try_histories
from tests.prove.result import Result

CLAIM = """\
ADD, DEL, CHECK, gc, apply, prune, restore and status in any order, between calls that are ended at any effect,
containers that die, flushes, reboots with /run gone or kept, a full /run, and an agent that comes, stops and is ended:
after each step records, kernel and packets are as a model has them, and in the end all can be taken back."""
_AT_ONCE = 10


def run(seed: int, seconds: float) -> Result:
    begun, done, wrong = time.monotonic(), 0, list[str]()
    while not wrong and (not done or time.monotonic() - begun < seconds):
        steps = prepared(BINARY)
        try:
            try_histories(steps, _AT_ONCE, seed=random.Random(seed + done).randrange(1 << 31))
        except Exception as e:  # noqa: BLE001 - whatever it is, it is what was looked for
            wrong.append(f"seed {seed + done}: {type(e).__name__}: {e} {' '.join(getattr(e, '__notes__', []))}"[:3000])
        finally:
            steps.end()
        done += _AT_ONCE
        print(f"histories: {done}, {steps.steps} steps in these, {len(wrong)} wrong", flush=True)
    figures = {"histories of up to 15 steps": done}
    return Result(
        "histories", CLAIM, "tests/faults/test_histories.py", seed, round(time.monotonic() - begun), figures, wrong
    )
