"""Steps of a long work in, one line on a terminal's stderr out, gone at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from calico_rkt.compiler.review.progress import Progress

_AFTER = 1.0
"""Seconds before anything is shown."""
_EVERY = 0.1
_COLUMNS = 80
"""Where a terminal does not know its own width."""
_CLEAR = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[Progress]:
    """A function of steps done, steps in all, and what is looked at; it shows nothing where stderr is no terminal."""
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    started = last = time.monotonic()
    shown = False

    def tell(done: int, total: int, what: str) -> None:
        nonlocal last, shown
        now = time.monotonic()
        if terminal and now - started >= _AFTER and now - last >= _EVERY:
            last, shown = now, True
            words = "".join(c if c.isprintable() else "?" for c in f"{done} of {total}: {what}")
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
            sys.stderr.write(_CLEAR + words[: columns - 1])
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
