"""What is asked, and for how long, in; each packet as it comes, told, and at the end how much was seen, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from calico_rkt.plugin.tracing.asked import Asked
from calico_rkt.plugin.tracing.events import Listener
from calico_rkt.plugin.tracing.packets import Fate, Gathering
from calico_rkt.plugin.tracing.table import Table
from calico_rkt.plugin.tracing.told import Teller, Told

_PAUSE = 0.2


@dataclass(slots=True)
class Seen:
    """How many packets came to an end, by their fate; sent are all that the first end sent, to whomever.

    skipped were too many a second to be looked at; incomplete: the kernel told of more than could be read. parts are
    fragments, whole or not in the end.
    """

    dropped: int = 0
    passed: int = 0
    lost: int = 0
    replies: int = 0
    sent: int = 0
    skipped: int = 0
    incomplete: bool = False
    parts: int = 0

    @property
    def packets(self) -> int:
        return self.dropped + self.passed + self.lost

    def note(self, told: Told) -> None:
        self.dropped += told.fate is Fate.DROPPED
        self.passed += told.fate is Fate.PASSED
        self.lost += told.fate is Fate.LOST
        self.replies += told.reply


class Watch:
    """A trace that goes on; close() ends it, and its rules with it. Nothing is traced before it is made."""

    def __init__(self, asked: Asked, teller: Teller) -> None:
        self._listener = Listener()
        try:
            self._table = Table(asked)
        except BaseException:
            self._listener.close()
            raise
        self._teller = teller
        self.seen = Seen()

    def close(self) -> None:
        """Take its rules away."""
        self._table.close()
        self._listener.close()

    def packets(self, seconds: float, most: int, look: Callable[[], None]) -> Iterator[Told]:
        """Each packet when its end is known, for so many seconds and so many packets; most 0: as many as come.

        look is called some times a second, whatever comes; what it raises ends the watching.
        """
        gathering = Gathering()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look()
            found = []
            for event in self._listener.events(min(_PAUSE, max(0.0, end - time.monotonic()))):
                packet = gathering.take(event, time.monotonic())
                if packet is not None:
                    found.append(packet)
                if len(found) >= _AT_ONCE:
                    break
            found += gathering.lost(time.monotonic())
            self.seen.parts = gathering.parts
            translated = self._table.translated() if found else {}
            for packet in found:
                told = self._teller.tell(packet, translated)
                self.seen.note(told)
                yield told
                if most and self.seen.packets >= most:
                    return

    def count(self) -> Seen:
        """What was seen until now."""
        self.seen.sent = self._table.count("sent")
        self.seen.skipped = self._table.count("skipped")
        self.seen.incomplete = self._listener.lost
        return self.seen


_AT_ONCE = 100
"""Packets that are gathered before they are told."""
