"""What people write as a time: local where it says no zone, and the same moment where it does."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone

import pytest

from calico_rkt.plugin.commands.logs import _since


@pytest.mark.parametrize("hours", [-11, 0, 5])
def test_a_time_with_a_zone_is_that_moment_in_the_local_time_of_the_log(hours: int) -> None:
    there = timezone(timedelta(hours=hours))
    said = datetime(2026, 11, 28, 9, 30, tzinfo=there)
    wanted = said.astimezone().replace(tzinfo=None)
    assert _since(said.isoformat()) == wanted
    assert _since(said.isoformat(" ")) == wanted
    assert _since("2026-11-28 09:30") == datetime(2026, 11, 28, 9, 30)  # noqa: DTZ001 - as the log has it


@pytest.mark.parametrize("text", ["999999d", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "soon"])
def test_a_time_that_no_clock_can_say_is_refused_in_words(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
        _since(text)
