"""A place where bytes come in, and how many to try, in; how long the longest took, or what went wrong, out.

Whatever comes in: no exception that nobody foresaw, no second of processor time, one answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from calico_rkt.plugin.errors import CniError, Code

SECONDS = 1.0
_AT_ONCE = 1000
"""Inputs of one run of Hypothesis, which remembers all of them."""


@dataclass(frozen=True, slots=True)
class Door:
    """enter(input) raises where the door does what it must not. share: how many of a thousand inputs it gets."""

    name: str
    what: str
    inputs: SearchStrategy[Any]
    enter: Callable[[Any], object]
    share: int
    setting: Callable[[], AbstractContextManager[object]] = nullcontext
    """What it needs while inputs are tried."""

    def tried(self, number: int, start: int | None = None) -> float:
        """Seconds of processor time of the longest of so many inputs; with start None the same ones each time."""
        longest = 0.0

        def timed(value: Any) -> None:
            nonlocal longest
            before = time.thread_time()
            self.enter(value)
            took = time.thread_time() - before
            longest = max(longest, took)
            assert took < SECONDS, f"{self.name}: {took:.1f} s of processor time"

        with self.setting():
            for done in range(0, number, _AT_ONCE):
                self._run(timed, min(_AT_ONCE, number - done), None if start is None else start + done)
        return longest

    def _run(self, timed: Callable[[Any], None], number: int, start: int | None) -> None:
        run = settings(
            max_examples=number,
            database=None,
            deadline=None,
            derandomize=start is None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(given(self.inputs)(timed))
        (run if start is None else seed(start)(run))()


def foreseen(error: CniError) -> None:
    """It says something, and is not what an unknown exception becomes."""
    assert error.code != Code.INTERNAL, error
    assert error.msg, error


def one_answer(status: int, stdout: bytes | str) -> dict[str, Any]:
    """A CNI answer that is whole: one JSON object; an error, and a foreseen one, where the status says so."""
    found = json.loads(stdout)
    assert isinstance(found, dict), stdout
    assert ("code" in found) is (status != 0), (status, stdout)
    if status:
        assert found["code"] != Code.INTERNAL, stdout
        assert isinstance(found["cniVersion"], str), stdout
        assert isinstance(found["msg"], str), stdout
        assert found["msg"], stdout
    return found
