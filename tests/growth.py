"""Work of a size in, how its processor time grows out: 1 where four times the size takes four times as long."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def growth(work: Callable[[int], object], size: int) -> float:
    """Time a piece at four times the size, over that at the size; the best of three, as time is only ever added.

    work may give the seconds back that count.
    """
    small, large = (min(_seconds(work, n) for _ in range(3)) for n in (size, 4 * size))
    return large / small / 4


def _seconds(work: Callable[[int], object], size: int) -> float:
    gc.collect()
    begun = time.process_time()
    said = work(size)
    whole = time.process_time() - begun
    return said if isinstance(said, float) else whole
