"""Seconds and a seed in; each act ended at its effects, and failing at them, as figures out."""

from __future__ import annotations

import time

from tests.clients.conftest import BINARY
from tests.faults.test_every_step import ACTS
from tests.faults.tries import tried
from tests.prove.result import Result

CLAIM = """\
Every effect of ADD, DEL, CHECK, GC, gc, apply, prune, restore and import, by a process of its own, by an agent, or with
a launcher that is ended: SIGKILL before and after it, and each error that the call can give. Success means attached and
packets pass, failure that nothing is left; what was cut short is finished by a retry, DEL or gc; not one packet comes
through that the policies deny. An act has more faults than one run has time for: each run takes others, by its seed."""


def run(seed: int, seconds: float) -> Result:
    begun, figures, wrong = time.monotonic(), dict[str, int](), list[str]()
    for act, mode in ACTS:
        found = tried(BINARY, mode, act, turn=seed, seconds=seconds / len(ACTS), say=wrong.append)
        words = f"{found.scenario}: faults, of {found.cases:,} at {found.effects} effects of {found.kinds} kinds"
        figures[words] = found.faults
        print(f"{words}: {found.faults}, {len(found.broken)} wrong", flush=True)
    every = {"faults": sum(figures.values())}
    test = "tests/faults/test_every_step.py"
    return Result("faults", CLAIM, test, seed, round(time.monotonic() - begun), every | figures, wrong)
