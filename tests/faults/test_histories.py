"""Random histories: whatever comes in whatever order, kernel, records and packets are as the model has them.

A failing history is shrunk and printed as the steps that lead there, and tried again by the next run.
CALICO_HISTORIES=500 tries so many.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.histories import prepared
from tests.faults.host import WatchedHost

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]
HISTORIES = int(os.environ.get("CALICO_HISTORIES", "6"))
STEPS = 15


def test_every_history_is_as_the_model_has_it(binary: Path):
    host = WatchedHost(binary, f"calico-rkt-lab-{os.getpid()}-histories")
    try:
        run_state_machine_as_test(
            prepared(host),
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        host.close()
