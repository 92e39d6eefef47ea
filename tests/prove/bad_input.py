"""Seconds and a seed in; 100,000 bad inputs, or as many as there is time for, as figures out."""

from __future__ import annotations

import time

from tests.properties.inputs.doors import DOORS
from tests.prove.result import Result

CLAIM = """\
Whatever comes in where bytes come from outside: no traceback, no error that nobody foresaw, no crash, no second of
processor time, stdout empty or one JSON object."""
NUMBER = 100_000
_PART = 500


def run(seed: int, seconds: float) -> Result:
    begun, figures, wrong = time.monotonic(), dict[str, int](), list[str]()
    for door in DOORS:
        words, longest = f"{door.name}: {door.what}", 0.0
        figures[words] = 0
        until = begun + seconds * sum(d.share for d in DOORS[: DOORS.index(door) + 1]) / 1000
        while figures[words] < NUMBER * door.share // 1000 and (not figures[words] or time.monotonic() < until):
            part = min(_PART, NUMBER * door.share // 1000 - figures[words])
            try:
                longest = max(longest, door.tried(part, seed + figures[words]))
            except Exception as e:  # noqa: BLE001 - whatever it is, it is what was looked for
                wrong.append(f"{door.name}, seed {seed + figures[words]}: {type(e).__name__}: {str(e)[:300]}")
            figures[words] += part
        print(f"{door.name}: {figures[words]:,}, longest {longest * 1e3:.0f} ms of processor time", flush=True)
    number, test = sum(figures.values()), "tests/properties/test_bad_input.py"
    return Result("bad_input", CLAIM, test, seed, round(time.monotonic() - begun), {"inputs": number} | figures, wrong)
