"""Bytes in, written to a pipe that perhaps nobody reads out: within some seconds, or not."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

_SECONDS_FOR_ANSWER = 8.0
_SECONDS_FOR_WARNINGS = 1.0
_unread: set[int] = set()
"""Streams that were waited for in vain: each is waited for once."""


def answer(text: str) -> None:
    """Write to stdout; OSError where nobody reads it."""
    _write(1, text.encode(), _SECONDS_FOR_ANSWER)


def warn(text: str) -> None:
    """Write to stderr. Who does not read it holds nothing up, and no call fails for it."""
    with suppress(OSError):
        _write(2, text.encode(errors="backslashreplace"), _SECONDS_FOR_WARNINGS)


def _write(fd: int, data: bytes, seconds: float) -> None:
    until = time.monotonic() + (0.0 if fd in _unread else seconds)
    room = select.poll()
    room.register(fd, select.POLLOUT)
    while data:
        if not room.poll(max(0.0, until - time.monotonic()) * 1e3):
            _unread.add(fd)
            raise TimeoutError("nobody reads it")
        with suppress(BlockingIOError):
            data = data[os.write(fd, data[: select.PIPE_BUF]) :]  # so much a pipe takes at once
