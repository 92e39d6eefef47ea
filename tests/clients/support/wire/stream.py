"""Taps and an endless choice of packets in, sent by a thread of its own; when each went, and where it came, out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.clients.support.lab import until
from tests.clients.support.wire.packets import Sent
from tests.clients.support.wire.taps import Taps


@dataclass(frozen=True)
class Flown:
    """One packet of a stream: when it was sent, between at and until since a busy machine may stop who sends in the
    middle, and where it came."""

    sent: Sent
    at: float
    until: float
    came: frozenset[str]


class Stream:
    """Sends while its block runs; `flown` afterwards. The taps are the stream's alone meanwhile.

    A packet whose sender has no interface yet, or none any more, is not sent and not counted.
    """

    def __init__(self, taps: Taps, packets: Iterator[Sent], pause: float = 0.002) -> None:
        self._taps, self._packets, self._pause = taps, packets, pause
        self._thread = threading.Thread(target=self._run)
        self._ended = threading.Event()
        self._sent: list[tuple[int, Sent, float, float]] = []
        self._came: dict[int, set[str]] = {}
        self._error: BaseException | None = None
        self.flown: list[Flown] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        for number, places in self._taps.arrivals({}).items():
            self._came.setdefault(number, set()).update(places)
        self.flown = [Flown(sent, at, end, frozenset(self._came.get(n, ()))) for n, sent, at, end in self._sent]

    def let_pass(self, more: int) -> None:
        """Wait until so many packets more were sent."""
        wanted = len(self._sent) + more
        until(lambda: len(self._sent) >= wanted or not self._thread.is_alive(), "packets are sent")
        assert self._thread.is_alive(), f"nobody sends any more: {self._error!r}"

    def _run(self) -> None:
        try:
            for sent in self._packets:
                if self._ended.is_set():
                    return
                at = time.monotonic()
                if (number := self._taps.try_send(sent)) is not None:
                    self._sent.append((number, sent, at, time.monotonic()))
                for n, place in self._taps.gathered():
                    self._came.setdefault(n, set()).add(place)
                time.sleep(self._pause)
        except BaseException as e:  # noqa: BLE001 - handed to the thread that waits
            self._error = e
