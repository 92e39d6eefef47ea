"""Steps of packets in, as the kernel tells them; whole packets, each with its end, out. No effects, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from calico_rkt.plugin.tracing import table
from calico_rkt.plugin.tracing.events import Event, Header

_PATIENCE = 0.5
"""Seconds without a step after which a packet is taken for lost between two hooks."""
_QUEUED = 3.0
"""The same where a program has the packet, which may give it back."""
_DROPPED = ("drop", "stolen")


class Fate(Enum):
    """What became of a packet: nftables dropped it; it came through; or it was gone where no nftables rule was."""

    DROPPED, PASSED, LOST = "dropped", "passed", "lost"


@dataclass(slots=True)
class Packet:
    """One packet. first is its header as it came whole, last as it was seen at the end; steps are all that it met."""

    first: Header
    last: Header
    since: float
    iif: str = ""
    oif: str = ""
    steps: list[Event] = field(default_factory=list)
    fate: Fate = Fate.LOST

    @property
    def by(self) -> Event:
        """The last step: what dropped it, where something did."""
        return self.steps[-1]

    @property
    def is_queued(self) -> bool:
        """Whether a program has it."""
        return self.by.verdict == "queue"


class Gathering:
    """Packets that are on their way, by the kernel's number for each."""

    def __init__(self) -> None:
        self._open: dict[int, Packet] = {}
        self.parts = 0
        """Fragments that the kernel has kept until all parts of a packet are there."""

    def take(self, event: Event, now: float) -> Packet | None:
        """Note a step; the packet where that was its last one."""
        packet = self._open.get(event.packet)
        if packet is None:
            if event.header is None:
                return None  # its begin was lost, or it came through already
            packet = self._open[event.packet] = Packet(event.header, event.header, now)
        packet.last = event.header or packet.last
        if event.header is not None and table.is_whole(event.table, event.chain):
            packet.first = event.header
        packet.iif = packet.iif or event.iif
        packet.oif = event.oif or packet.oif
        packet.since = now
        packet.steps.append(event)
        if event.verdict in _DROPPED:
            packet.fate = Fate.DROPPED
        elif table.is_last(event.table, event.chain):
            packet.fate = Fate.PASSED
        else:
            return None
        return self._open.pop(event.packet)

    def lost(self, now: float) -> Iterator[Packet]:
        """Those of which nothing was heard for a while: they never came to a rule again.

        A program that was given one, and gave it back to nobody, dropped it. But for fragments: the kernel keeps them,
        and what it makes of them is a packet of its own.
        """
        for number in [n for n, p in self._open.items() if now - p.since > (_QUEUED if p.is_queued else _PATIENCE)]:
            packet = self._open.pop(number)
            if packet.is_queued:
                packet.fate = Fate.DROPPED
            if packet.first.is_part:
                self.parts += 1
            else:
                yield packet
