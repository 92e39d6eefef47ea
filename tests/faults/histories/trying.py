"""How many histories and a seed in; each tried, and one that fails made as short as it can be, out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import seed as with_seed
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.histories.mishaps import Histories

STEPS = 15
SEED = "CALICO_HISTORIES_SEED"
"""The environment's word for the seed to try again."""


def try_histories(histories: type[Histories], number: int, seed: int | None = None) -> None:
    """So many of up to STEPS steps each, and fewer steps where one fails; seed: others than every run tries."""
    machine = histories if seed is None else with_seed(seed)(histories)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=seed is None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def prepared(binary: Path) -> type[Histories]:
    """Histories of hosts of their own; end() is for the caller."""
    return type("HistoriesHere", (Histories,), {"binary": binary, "acts": Counter()})


def seed_to_try() -> int | None:
    """The one that a run printed, where somebody names it."""
    named = os.environ.get(SEED)
    return int(named) if named else None
