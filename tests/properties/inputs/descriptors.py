"""What stands at a program's descriptors 0, 1 and 2 in; its exit status, and what came out of 1, out."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

KINDS = ("pipe", "closed", "full", "nonblocking", "null")
_SECONDS = 30
LATE = 0.01
"""Seconds after which stdin is written: one who does not wait finds nothing."""


def ran(argv: Sequence[str], env: Mapping[str, str], stdin: bytes, kinds: Sequence[str]) -> tuple[int, bytes | None]:
    """stdout is None where nobody could read it."""
    given, taken = os.pipe(), os.pipe()
    null, full = os.open(os.devnull, os.O_RDWR), os.open("/dev/full", os.O_RDWR)
    places = []
    for fd, kind in enumerate(kinds):
        ours = given[0] if fd == 0 else taken[1]
        if kind == "nonblocking":
            os.set_blocking(ours, False)
        if fd == 2 and kind in ("pipe", "nonblocking"):
            ours = null
        places.append({"closed": -1, "full": full, "null": null}.get(kind, ours))

    def place() -> None:
        for fd, at in enumerate([os.dup(p) if p >= 0 else -1 for p in places]):
            if at < 0:
                with suppress(OSError):
                    os.close(fd)
            else:
                os.dup2(at, fd)
        os.closerange(3, 64)

    with subprocess.Popen(argv, env=env, preexec_fn=place, stdin=None, stdout=None, stderr=None) as process:  # noqa: PLW1509
        for fd in (given[0], taken[1], null, full):
            os.close(fd)
        writer = threading.Thread(target=_written, args=(given[1], stdin))
        writer.start()
        out = b""
        while more := os.read(taken[0], 1 << 16):
            out += more
        os.close(taken[0])
        status = process.wait(_SECONDS)
        writer.join()
    return status, out if kinds[1] in ("pipe", "nonblocking") else None


def _written(fd: int, data: bytes) -> None:

    threading.Event().wait(LATE)
    with suppress(BrokenPipeError):
        os.write(fd, data)
    os.close(fd)
