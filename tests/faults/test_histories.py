"""Random histories: whatever comes in whatever order, kernel, records and packets are as the model has them.

A failing history is shrunk and printed as the steps that lead there. These are the same in each run;
CALICO_HISTORIES=500 tries more of them, CALICO_HISTORIES_SEED=7 those of a seed, `make prove HARNESS=histories` others.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.histories.trying import prepared, seed_to_try, try_histories

pytestmark = [pytest.mark.kernel, pytest.mark.clients]
HISTORIES = int(os.environ.get("CALICO_HISTORIES", "6"))


def tried(binary: Path, number: int) -> None:
    histories = prepared(binary)
    try:
        try_histories(histories, number, seed_to_try())
    finally:
        histories.end()


def test_one_history_is_as_the_model_has_it(binary: Path):
    tried(binary, 1)


@pytest.mark.slow
def test_every_history_is_as_the_model_has_it(binary: Path):
    tried(binary, HISTORIES)
