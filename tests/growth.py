"""Work of a size in, how its processor time grows out: 1 where four times the size takes four times as long."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

from calico_rkt.compiler.packets.budget import Budget

_ROUNDS, _STEEP = 4, 1.5


def growth(work: Callable[[int], object], size: int) -> float:
    """Time a piece at four times the size, over that at the size; the best of three, as time is only ever added.

    What looks steep is measured three times more: on a busy machine all of the first may have been met by others.
    work may give the seconds back that count.
    """
    small = large = math.inf
    for _ in range(_ROUNDS):
        small = min(small, *(_seconds(work, size) for _ in range(3)))
        large = min(large, *(_seconds(work, 4 * size) for _ in range(3)))
        if large / small / 4 < _STEEP:
            break
    return large / small / 4


def _seconds(work: Callable[[int], object], size: int) -> float:
    gc.collect()
    gc.disable()  # a whole collection in the large piece alone takes as long as all that the tests before have left
    try:
        begun = time.process_time()
        said = work(size)
        whole = time.process_time() - begun
    finally:
        gc.enable()
    return said if isinstance(said, float) else whole


def calls(work: Callable[[int], object], size: int) -> int:
    """How many calls of functions a piece of that size makes, Python's own among them: the same on any machine."""
    count = 0

    def one_more(_frame: object, event: str, _of: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(one_more)
    try:
        work(size)
    finally:
        sys.setprofile(before)
    return count


def growth_in_calls(work: Callable[[int], object], size: int) -> float:
    """Calls at four times the size, over those at the size: 1 where there are four times as many."""
    return calls(work, 4 * size) / calls(work, size) / 4


def steps(work: Callable[[int], object], size: int) -> int:
    """How many steps of its whole budgets an analysis of that size takes."""
    spent = 0
    spend = Budget.spend

    def counting(self: Budget, steps: int = 1) -> None:
        nonlocal spent
        if self.whole is None:
            spent += steps
        spend(self, steps)

    with patch.object(Budget, "spend", counting):
        work(size)
    return spent
