"""Seconds and a seed in; random histories of calls, commands and mishaps against a model, as figures out."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.clients.conftest import BINARY
from tests.faults.histories.trying import prepared, try_histories
from tests.prove.result import Result

CLAIM = """\
Calls of several runtimes, one by one and at once, commands, and mishaps in any order: calls ended at any effect, one
stopped with the locks that it has then beside another, containers that die, flushes, reboots with /run gone or kept,
full disks, clocks that jump, another build put in place under calls, an agent that comes, stops, is ended, and a second
one. After each step records, kernel and packets are as a model has them, and in the end all can be taken back."""
_AT_ONCE = 5


def run(seed: int, seconds: float) -> Result:
    begun, done, wrong = time.monotonic(), 0, list[str]()
    steps, acts = 0, Counter[str]()
    while not wrong and (not done or time.monotonic() - begun < seconds):
        tried = prepared(BINARY)
        try:
            try_histories(tried, _AT_ONCE, seed=random.Random(seed + done).randrange(1 << 31))
        except Exception as e:  # noqa: BLE001 - whatever it is, it is what was looked for
            wrong.append(f"seed {seed + done}: {type(e).__name__}: {e} {' '.join(getattr(e, '__notes__', []))}"[:3000])
        finally:
            tried.end()
        done += _AT_ONCE
        steps += tried.steps
        acts += tried.acts
        print(f"histories: {done}, {steps} steps, {len(wrong)} wrong", flush=True)
    figures = {
        "histories of up to 15 steps": done,
        "steps": steps,
        **{f"... {act}": n for act, n in sorted(acts.items())},
    }
    return Result(
        "histories", CLAIM, "tests/faults/test_histories.py", seed, round(time.monotonic() - begun), figures, wrong
    )
