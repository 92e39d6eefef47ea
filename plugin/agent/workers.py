"""A listening socket in, each of its connections given to one of a fixed number of threads."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable

from calico_rkt.plugin.link import netns
from calico_rkt.plugin.process.log import LOG

AT_ONCE = 16
"""Calls that are worked on at the same time; more wait in the socket's queue."""


class Workers:
    """Threads that wait in the kernel for the next connection: no dispatcher, and nothing to do while idle."""

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket], None], at_once: int = AT_ONCE) -> None:
        self._listener, self._serve = listener, serve
        listener.setblocking(False)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._threads = [threading.Thread(target=self._work, name=f"call-{n}", daemon=True) for n in range(at_once)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no further connection; what is being worked on goes on."""
        os.eventfd_write(self._stop, 1)

    def wait(self, seconds: float) -> bool:
        """Wait for the calls that are being worked on; whether all are done."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(t.is_alive() for t in self._threads)

    def _work(self) -> None:
        with netns.staying(), select.epoll() as ready:
            # Exclusive: one connection wakes one thread.
            ready.register(self._listener.fileno(), select.EPOLLIN | select.EPOLLEXCLUSIVE)
            ready.register(self._stop, select.EPOLLIN)
            while all(fd != self._stop for fd, _ in ready.poll()):
                try:
                    connection, _ = self._listener.accept()
                except OSError:  # another thread was quicker, or its launcher has gone
                    continue
                with connection:
                    try:
                        self._serve(connection)
                    except Exception:  # noqa: BLE001 - whatever a call does, the next one is served
                        LOG.exception("a call ended badly")
