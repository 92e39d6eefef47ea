"""Steps of a long work in, one line on a terminal's stderr out, gone at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
_AFTER = 1.0
"""Seconds before anything is shown."""
_EVERY = 0.1
_CLEAR = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[Progress]:
    """A function of steps done, steps in all, and what is looked at; it shows nothing where stderr is no terminal."""
    terminal = sys.stderr.isatty()
    started = last = time.monotonic()
    shown = False

    def tell(done: int, total: int, what: str) -> None:
        nonlocal last, shown
        now = time.monotonic()
        if terminal and now - started >= _AFTER and now - last >= _EVERY:
            last, shown = now, True
            words = "".join(c if c.isprintable() else "?" for c in what)[:60]
            sys.stderr.write(f"{_CLEAR}{done} of {total}: {words}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
