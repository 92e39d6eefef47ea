"""Nothing in, a netlink socket of the host's namespace out: one that waits for its next use in a warm process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from calico_rkt.plugin import netlink

_KEPT = 32
_idle: list[tuple[tuple[int, int, int], netlink.Socket]] = []


@contextmanager
def host_socket() -> Iterator[netlink.Socket]:
    """A route socket of the calling thread's namespace, nobody else's meanwhile; after an error it is closed."""
    place = _place()
    socket = _taken(place) or netlink.Socket()
    try:
        yield socket
    except BaseException:
        socket.close()  # an answer may be left in it
        raise
    if len(_idle) < _KEPT:
        _idle.append((place, socket))
    else:
        socket.close()


def _taken(place: tuple[int, int, int]) -> netlink.Socket | None:
    """An idle socket of this place; one of another namespace, or of before a fork, is closed."""
    while True:
        try:
            found, socket = _idle.pop()
        except IndexError:
            return None
        if found == place:
            return socket
        socket.close()


def _place() -> tuple[int, int, int]:
    net = os.stat("/proc/thread-self/ns/net")  # noqa: PTH116 - twice as fast, at every attach
    return os.getpid(), net.st_dev, net.st_ino
