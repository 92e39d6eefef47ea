"""Seconds and a seed in; each act ended at its effects, and failing at them, as figures out."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context

from tests.clients.conftest import BINARY
from tests.faults.commands import Apply, FirstAdd, Import, Prune, Restore
from tests.faults.host import ALONE
from tests.faults.records import TakeOver
from tests.faults.test_every_step import ACTS, named
from tests.faults.tries import Tried, tried
from tests.faults.worlds import LOCAL
from tests.prove.result import Result

CLAIM = """\
Every effect of ADD, DEL, CHECK, GC, gc, apply, prune, restore and import, by a process of its own, by an agent, or with
a launcher that is ended, on this host's own datastore, on etcd 3, on etcd 2, and with addresses of CNI's host-local:
SIGKILL before and after it, for a child that does it, too, and each error that the call can give; of etcd also an
answer that is late, cut, lost, or says that there was no time. Success means attached, and packets pass; failure, that
nothing is left, or that it waits in the journal; what was cut short is finished by a retry, DEL or gc; the books add
up; not one packet comes through that the policies deny. Of equal faults in an equal state of the host one is tried, by
the seed; where time is short, each error of each kind of effect comes first."""
LONG = [(act, ALONE, LOCAL) for act in (FirstAdd, TakeOver, Apply, Prune, Restore, Import)]
"""Acts with hundreds of faults of a second or more each."""
AT_ONCE = 2
"""Hosts. Most of a try is waiting."""


def run(seed: int, seconds: float) -> Result:
    """What an act leaves of its share of the time is the others'; those with the most faults come last."""
    begun, found, wrong = time.monotonic(), dict[int, Tried](), list[str]()
    waiting = sorted(range(len(ACTS)), key=lambda number: ACTS[number] in LONG)
    asked = dict[Future[Tried], int]()
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        while waiting or asked:
            while waiting and len(asked) < AT_ONCE:
                left = begun + seconds - time.monotonic()
                share = left * AT_ONCE / (len(waiting) + len(asked))
                number = waiting.pop(0)
                asked[pool.submit(_tried, number, seed, share)] = number
            done = wait(asked, return_when=FIRST_COMPLETED).done.pop()
            number = asked.pop(done)
            try:
                one = found[number] = done.result()
            except Exception as e:  # noqa: BLE001 - the others are tried all the same
                wrong.append(f"{named(ACTS[number])} could not be tried: {type(e).__name__}: {e}")
                print(wrong[-1], flush=True)
                continue
            wrong += one.broken
            print(f"{_words(one)}: {one.faults}, {len(one.broken)} wrong", flush=True)
            for words in one.broken:
                print(f"  {words}", flush=True)
    total = sum(one.faults for one in found.values())
    of = sum(one.chosen for one in found.values())
    figures = {
        f"faults, of {of:,} that differ": total,
        "... that did not come to be: another effect came in the place of theirs": sum(
            f.missed for f in found.values()
        ),
        **{_words(found[n]): found[n].faults for n in sorted(found)},
    }
    return Result(
        "faults", CLAIM, "tests/faults/test_every_step.py", seed, round(time.monotonic() - begun), figures, wrong
    )


def _words(one: Tried) -> str:
    return (
        f"{one.scenario}: faults, of {one.chosen:,} that differ among {one.cases:,}"
        f" at {one.effects} effects of {one.kinds} kinds"
    )


def _tried(number: int, seed: int, seconds: float) -> Tried:
    act, mode, world = ACTS[number]
    return tried(BINARY, mode, act, world, turn=seed, seconds=seconds)
