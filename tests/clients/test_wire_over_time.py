"""Packets all the time while policies, tables, agents, the program and containers change: never a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.support.wire.drawing import new_seed
from tests.clients.support.wire.over_time import through

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

CHANGES = ("apply", "visit", "restore", "apply", "agent dies", "visit", "update", "apply", "visit")


def none_wrong(binary: Path, folder: Path, seed: int, changes: tuple[str, ...]) -> None:
    passed = through(binary, folder, seed, changes)
    assert not passed.wrong, f"seed {seed}, {len(passed.wrong)} of {passed.packets}:\n" + "\n".join(passed.wrong[:20])
    assert 0 < passed.arrived < passed.packets
    print(passed)


def test_no_change_lets_a_packet_through_or_loses_one(binary: Path, tmp_path: Path) -> None:
    none_wrong(binary, tmp_path / "files", 5, CHANGES)


@pytest.mark.slow
def test_no_apply_of_two_that_alternate_lets_a_packet_through_or_loses_one(binary: Path, tmp_path: Path) -> None:
    none_wrong(binary, tmp_path / "files", new_seed(), (*CHANGES, *["apply"] * 5, *["swap"] * 50))
