"""Kinds of scenarios and how many faults in; each tried on hosts that are made anew where one was left broken, out."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.cases import Case, different, every, sample
from tests.faults.host import WatchedHost
from tests.faults.verbs import Scenario
from tests.faults.worlds import LOCAL, World

_NUMBERS = itertools.count()
_FEWER = (0, 20, 100)
"""How many effects less a run may have had before one: an address of its own guard spares some sixty."""
_YOUNG = 8
"""Faults after which a host is no longer like the one whose effects were recorded: what it once gave is known to it."""


@dataclass
class Tried:
    """Figures of a series: faults that came to be, kinds of effects, and promises that did not hold."""

    scenario: str
    effects: int = 0
    kinds: int = 0
    cases: int = 0
    chosen: int = 0
    faults: int = 0
    missed: int = 0
    broken: list[str] = field(default_factory=list)


def tried(
    plugin: Path,
    mode: str,
    made: Callable[[WatchedHost], Scenario],
    world: World = LOCAL,
    *,
    most: int = 0,
    turn: int = 0,
    seconds: float = math.inf,
    only: str = "",
    say: Callable[[str], object] = str,
) -> Tried:
    """Every fault of one scenario, or at most so many, or as many as there is time for, in an order that turn decides.

    What did not come to be is tried again on hosts that are young: another effect may have come in the place of its.

    only: how the kinds of effects begin that are met; say: told what is broken.
    """
    begun = time.monotonic()
    found = Tried("")
    host, scenario = _ready(plugin, mode, made, world)
    try:
        found.scenario = f"{scenario.name} {world.name} {mode}"
        kinds = recorded(scenario)
        found.effects, found.kinds = len(kinds), len(set(kinds))
        cases = [case for case in every(kinds) if case.kind.startswith(only)]
        chosen = sample(cases, most, turn) if most else different(cases, turn)
        found.cases, found.chosen = len(cases), len(chosen)
        missed = list[tuple[int, Case]]()

        def over() -> bool:
            return time.monotonic() - begun > seconds

        def fresh() -> None:
            nonlocal host, scenario
            host.close()
            host, scenario = _ready(plugin, mode, made, world)
            recorded(scenario)

        def try_it(number: int, case: Case) -> bool:
            try:
                came = any(scenario.try_one(one, number + turn) for one in _earlier(case))
            except (AssertionError, OSError, ValueError) as e:
                found.broken.append(f"{found.scenario}, turn {number + turn}: {case}: {e}")
                say(found.broken[-1])
                fresh()
                return True
            found.faults += came
            return came

        for number, case in enumerate(chosen):
            if over():
                break
            if not try_it(number, case):
                missed.append((number, case))
        for tries, (number, case) in enumerate(missed):
            if over():
                found.missed += len(missed) - tries
                break
            if not tries % _YOUNG:
                fresh()
            found.missed += not try_it(number, case)
    finally:
        host.close()
    return found


def _ready(
    plugin: Path, mode: str, made: Callable[[WatchedHost], Scenario], world: World
) -> tuple[WatchedHost, Scenario]:
    host = WatchedHost(plugin, f"calico-rkt-lab-{os.getpid()}-faults{next(_NUMBERS)}", mode, world)
    try:
        return host, made(host)
    except BaseException:
        host.close()
        raise


def _earlier(case: Case) -> Iterator[Case]:
    """The same fault, also where a run had fewer effects before it: the next effect of its kind is met."""
    for fewer in _FEWER:
        if fewer <= case.at or fewer == _FEWER[1]:
            yield replace(case, at=max(0, case.at - fewer))


def recorded(scenario: Scenario) -> list[str]:
    """The effects of the second run without a fault: the first one warms what stays warm."""
    kinds: list[str] = []
    for _ in range(2):
        scenario.prepare()
        reply, watch = scenario.run(None)
        assert reply.status == 0, reply
        scenario.judge(reply)
        scenario.tidy()
        scenario.same_as_before("without a fault")
        kinds = watch.kinds
    return kinds
