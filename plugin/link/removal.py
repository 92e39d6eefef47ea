"""A link's index in, the link gone out; removals that come at once go together, and nobody waits for the kernel's end.

The kernel takes a link out of its namespace within a millisecond and says so to whoever listens; then it waits 10 to
30 ms until no processor looks at the link any more, and only then answers who asked. Nothing reaches a link that is
out, so its removal is done when the kernel says so: a thread of ours waits for the answer, not the caller.

So there are two ends to wait for, and the first counts: the news that the link is gone (_listen, from a socket that
hears of links), or the answer (_Asked), which comes first where the kernel refuses. A refusal is never lost: what
nobody has heard the news of stays an error until the answer has come. Where the socket could not
hold all news, the answer tells of all. docs/decisions/021-a-removal-is-done-when-the-link-is-out.md
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from errno import EAGAIN, ECANCELED, ENOBUFS, ENODEV

from calico_rkt.plugin.link import messages, netlink
from calico_rkt.plugin.link.batches import Turns, Wish
from calico_rkt.plugin.link.groups import removal_group
from calico_rkt.plugin.link.sockets import host_socket

_Turn = dict[int, list[Wish[int]]]
"""Who waits for each link."""


def remove(index: int) -> None:
    """Remove a link of the calling thread's namespace, or find it gone; OSError when the kernel refuses."""
    _TURNS.ask(index)


def _take(wishes: Sequence[Wish[int]]) -> None:
    """Wake each caller of a turn when its link is out, or the kernel has refused."""
    turn: _Turn = {}
    for wish in wishes:
        turn.setdefault(wish.what, []).append(wish)
    try:
        with netlink.Socket(groups=netlink.LINK_GROUP) as events, closing(_Asked(tuple(turn))) as asked:
            _listen(events, asked, turn)
    except Exception as e:  # noqa: BLE001 - RuntimeError: no thread can be started; and whatever else
        _wake(turn, dict.fromkeys(turn, e if isinstance(e, OSError) else OSError(EAGAIN, str(e))))


_TURNS = Turns(_take)


class _Asked:
    """A thread that asks the kernel for a turn's removals. end is readable when it has answered: errors then says how.

    The thread outlives who made it: the answer comes long after the links are out.
    """

    def __init__(self, indexes: tuple[int, ...]) -> None:
        self.errors: dict[int, OSError] = dict.fromkeys(indexes, OSError(ECANCELED, "who asked the kernel broke off"))
        """Of those that stay; all of them until the kernel has said otherwise, whatever becomes of the thread."""
        self._indexes = indexes
        self.end, self._other_end = socket.socketpair()
        threading.Thread(target=self._ask, name="removal", daemon=True).start()

    def _ask(self) -> None:
        try:
            with host_socket() as host:
                self.errors = remove_together(host, self._indexes)
        except Exception as e:  # noqa: BLE001 - only the kernel's answer says that a link is gone
            found = e if isinstance(e, OSError) else OSError(ECANCELED, f"{type(e).__name__}: {e}")
            self.errors = dict.fromkeys(self._indexes, found)
        finally:
            self._other_end.close()

    def close(self) -> None:
        """Whatever the answer will be, nobody waits for it any more."""
        self.end.close()


def _listen(events: netlink.Socket, asked: _Asked, turn: _Turn) -> None:
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


def _wake(turn: _Turn, errors: Mapping[int, OSError], over: Iterable[int] | None = None) -> None:
    """These (else all that are left) are over and leave the turn."""
    for index in tuple(turn) if over is None else over:
        for wish in turn.pop(index, ()):
            wish.done(errors.get(index))


def remove_together(host: netlink.Socket, indexes: Sequence[int]) -> dict[int, OSError]:
    """Remove links as one, since the kernel waits once for each message; the errors of those that stay.

    The group's number is none that a network has (groups.py). What the kernel refuses for all is tried for each.
    """
    if len(indexes) > 1:
        group = removal_group()
        joined = netlink.chunks(messages.joining(i, group) for i in indexes)
        answers = [a for batch in (*joined, messages.group_removal(group)) for a in host.batch(batch)]
        if not any(_refused(a) for a in answers):
            return {}
    each = {i: a for i in indexes for a in host.batch(messages.removal(i))}
    return {i: a for i, a in each.items() if a is not None and _refused(a)}


def _refused(answer: netlink.NetlinkError | None) -> bool:
    """A link that is gone already, and a group without any, is as good as removed."""
    return answer is not None and answer.errno != ENODEV
