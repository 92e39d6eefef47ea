"""What commands cost on a large host: with its networks, and never with their square."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

_SIZED = Path(__file__).parent / "support" / "sized_host.py"
MOST = {"status": 8.0, "apply": 6.0, "prune": 2.0, "restore": 5.0}
"""Seconds of processor at 1,000 networks of 5 endpoints. status looks twice here, since no link is there."""


def costs(folder, networks):
    folder.mkdir()
    done = subprocess.run(
        ["unshare", "-n", sys.executable, str(_SIZED), str(folder), str(networks)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["apply"][2:] == [0, f"{networks} networks, nothing to change"]
    assert found["prune"][2] == 0
    return {name: spent for name, (spent, *_) in found.items()}


@pytest.mark.slow
def test_a_thousand_networks_are_looked_at_in_seconds(tmp_path):
    found = costs(tmp_path / "many", 1000)
    assert all(found[name] < most for name, most in MOST.items()), found


@pytest.mark.slow
def test_four_times_as_many_networks_cost_four_times_as_much(tmp_path):
    few, many = costs(tmp_path / "few", 100), costs(tmp_path / "many", 400)
    assert all(many[name] < 7 * few[name] + 0.2 for name in MOST), (few, many)
