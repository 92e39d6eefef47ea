"""A list that pyroute2 asks of the kernel in; the same out, though things come and go while it is read."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
_ATTEMPTS = 50
"""On a host where calls attach all the time, one of two lists of a thousand links is cut short."""


def whole(dump: Callable[[], Iterable[T]]) -> list[T]:
    """What dump gives, asked again where the kernel says that it changed meanwhile; OSError EINTR after many."""
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted  # its import takes long

    for _ in range(_ATTEMPTS):
        try:
            return list(dump())
        except NetlinkDumpInterrupted:
            continue
    raise OSError(errno.EINTR, "interfaces, routes or rules come and go faster than they can be listed")
