"""Containers of a network that is closed on both sides in, packets sent all the time, and how many passed, out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from tests.clients.support.lab import HOST_V4, HOST_V6, OUTSIDE_V4, OUTSIDE_V6
from tests.kernel.support.enforce_world import inside

PORT = 7
SECONDS_BETWEEN = 0.004
WATCHERS = """\
table inet faults {
    counter out { }
    counter into { }
    counter host { }
    chain passing {
        type filter hook forward priority 500; policy accept;
        iifname "crk*" counter name out
        oifname "crk*" counter name into
    }
    chain arriving {
        type filter hook input priority 500; policy accept;
        iifname "crk*" udp dport 7 counter name host
    }
}
"""
"""Behind the rules of ours: what is counted here, they have let through."""


class Senders:
    """One thread that sends from every namespace that it was told of to every address, in turn, until close()."""

    def __init__(self, addresses: list[str]) -> None:
        self._to = [*addresses, OUTSIDE_V4, HOST_V4, OUTSIDE_V6, HOST_V6] if addresses else []
        self._from: dict[str, list[socket.socket]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.sent = 0
        self._host = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, name: str, netns: str) -> None:
        with inside(netns):
            made = [socket.socket(f, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for f in (2, 10)]
        with self._lock:
            self._from[name] = made

    def drop(self, name: str) -> None:
        with self._lock:
            for one in self._from.pop(name, ()):
                one.close()

    def mind(self, netns: str) -> None:
        """Send nothing while the host of that namespace has no table, which somebody else took away; "": always."""
        with self._lock:
            self._host = netns

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """While somebody else takes the table away: what is sent just then comes through."""
        with self._lock:
            yield

    def _may(self) -> bool:
        if not self._host:
            return True
        with inside(self._host):
            return standing() is not Standing.NONE

    def _run(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN):
            with self._lock:
                if not self._may():
                    continue
                for v4, v6 in self._from.values():
                    for address in self._to:
                        with contextlib.suppress(OSError):
                            (v6 if ":" in address else v4).sendto(b"x", (address, PORT))
                            self.sent += 1

    def close(self) -> None:
        self._ended.set()
        self._thread.join(60)
        for name in tuple(self._from):
            self.drop(name)
