"""A link's index in, the link gone out; removals that come at once go together, and nobody waits for the kernel's end.

The kernel takes a link out of its namespace within a millisecond and says so to whoever listens; then it waits 10 to
30 ms until no processor looks at the link any more, and only then answers who asked. Nothing reaches a link that is
out, so its removal is done when the kernel says so: a thread of ours waits for the answer, not the caller.

Of callers at the same time one leads: it takes all that is asked for by then, as one link group, and listens. Who
comes meanwhile waits for the next turn, and the first of these leads it.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from errno import EAGAIN, ECANCELED, ENOBUFS, ENODEV

from calico_rkt.plugin import netlink, veth
from calico_rkt.plugin.hostlink import host_socket, place

_IN_FLIGHT = 4
"""Turns that the kernel has not ended: more threads would wait for the same processors."""


class _Removal:
    """One caller's wish. Woken with leads True to lead the next turn, else because it is over: error says how."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.leads = False
        self.error: OSError | None = None
        self.woken = threading.Event()


class Gatherer:
    """The removals of one network namespace, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Removal] = []
        self._led = False
        self._in_flight = threading.BoundedSemaphore(_IN_FLIGHT)

    def remove(self, index: int) -> None:
        """Remove the link, or find it gone; OSError when the kernel refuses."""
        mine = _Removal(index)
        with self._lock:
            self._waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads:
            mine.woken.wait()
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error

    def _lead(self) -> None:
        """One turn, the leader's own wish among it; then the next one's leader is woken."""
        self._in_flight.acquire()
        with self._lock:
            turn, self._waiting = self._waiting, []
        try:
            wanted: dict[int, list[_Removal]] = {}
            for removal in turn:
                wanted.setdefault(removal.index, []).append(removal)
            _take(wanted, self._in_flight)
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.set()


def _take(turn: dict[int, list[_Removal]], in_flight: threading.BoundedSemaphore) -> None:
    """Wake each caller of a turn when its link is out, or the kernel has refused."""
    asked = None
    try:
        with netlink.Socket(groups=netlink.LINK_GROUP) as events:
            asked = _Asked(tuple(turn), in_flight)
            _listen(events, asked, turn)
    except (OSError, RuntimeError) as e:  # RuntimeError: no thread can be started
        _wake(turn, dict.fromkeys(turn, e if isinstance(e, OSError) else OSError(EAGAIN, str(e))))
    finally:
        _wake(turn, dict.fromkeys(turn, OSError(ECANCELED, "another removal was broken off")))
        if asked is None:
            in_flight.release()
        else:
            asked.end.close()


class _Asked:
    """A thread that asks the kernel for a turn's removals. end is readable when it has answered: errors then says how.

    The thread outlives who made it: the answer comes long after the links are out.
    """

    def __init__(self, indexes: tuple[int, ...], in_flight: threading.BoundedSemaphore) -> None:
        self.errors: dict[int, OSError] = {}
        self._indexes, self._in_flight = indexes, in_flight
        self.end, self._other_end = socket.socketpair()
        threading.Thread(target=self._ask, name="removal", daemon=True).start()

    def _ask(self) -> None:
        try:
            with host_socket() as host:
                self.errors = remove_together(host, self._indexes)
        except OSError as e:
            self.errors = dict.fromkeys(self._indexes, e)
        finally:
            self._in_flight.release()
            self._other_end.close()


def _listen(events: netlink.Socket, asked: _Asked, turn: dict[int, list[_Removal]]) -> None:
    poll = select.poll()
    poll.register(events, select.POLLIN)
    poll.register(asked.end, select.POLLIN)
    while turn:
        ready = {fd for fd, _ in poll.poll()}
        if asked.end.fileno() in ready:
            _wake(turn, asked.errors)
            return
        try:
            gone = events.links_gone()
        except OSError as e:
            if e.errno != ENOBUFS:
                raise
            poll.unregister(events)  # some are lost: the answer tells of all
            continue
        _wake(turn, {}, gone)


def _wake(turn: dict[int, list[_Removal]], errors: Mapping[int, OSError], over: Iterable[int] | None = None) -> None:
    """These (else all that are left) are over and leave the turn."""
    for index in tuple(turn) if over is None else over:
        for removal in turn.pop(index, ()):
            removal.error = errors.get(index)
            removal.woken.set()


def remove_together(host: netlink.Socket, indexes: Sequence[int]) -> dict[int, OSError]:
    """Remove links as one, since the kernel waits once for each message; the errors of those that stay.

    The group's number is random, since other groups are somebody's. What the kernel refuses for all is tried for each.
    """
    if len(indexes) > 1:
        group = secrets.randbits(30) | 1 << 30
        joined = netlink.chunks(veth.joining(i, group) for i in indexes)
        answers = [a for batch in (*joined, veth.group_removal(group)) for a in host.batch(batch)]
        if not any(_refused(a) for a in answers):
            return {}
    each = {i: a for i in indexes for a in host.batch(veth.removal(i))}
    return {i: a for i, a in each.items() if a is not None and _refused(a)}


def _refused(answer: netlink.NetlinkError | None) -> bool:
    """A link that is gone already, and a group without any, is as good as removed."""
    return answer is not None and answer.errno != ENODEV


_gatherers: dict[tuple[int, int, int], Gatherer] = {}
_lock = threading.Lock()


def remove(index: int) -> None:
    """Remove a link of the calling thread's namespace, or find it gone; OSError when the kernel refuses."""
    with _lock:
        gatherer = _gatherers.setdefault(place(), Gatherer())
    gatherer.remove(index)
