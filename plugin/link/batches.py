"""What many threads want at once in; taken in turns, one call for all that is wanted by then, out.

Of callers at the same time one leads: it takes what everybody wants by then. Who comes meanwhile waits for the next
turn, and the first of these leads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from errno import ECANCELED

from calico_rkt.compiler.typed import Generic, TypeVar
from calico_rkt.plugin.link.sockets import process_in_netns

T = TypeVar("T")


class Wish(Generic[T]):
    """What one caller wants; done() says that it is over, well or not."""

    def __init__(self, what: T) -> None:
        self.what = what
        self.leads = False
        self.woken = threading.Event()
        self.error: Exception | None = None

    def done(self, error: Exception | None = None) -> None:
        self.error = error
        self.woken.set()


class Turns(Generic[T]):
    """take is called with the wishes of a turn, in the leader's thread, and says of each when it is done."""

    def __init__(self, take: Callable[[Sequence[Wish[T]]], None]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._waiting: dict[tuple[int, int, int], list[Wish[T]]] = {}
        """By network namespace, since the leader acts in its own; a key is there while somebody leads."""

    def ask(self, what: T) -> None:
        """Wait until it is done; raises what take() has said of it."""
        here, mine = process_in_netns(), Wish(what)
        with self._lock:
            mine.leads = here not in self._waiting
            self._waiting.setdefault(here, []).append(mine)
        if not mine.leads:
            mine.woken.wait()
        if mine.leads:
            self._lead(here)
        if mine.error is not None:
            raise mine.error

    def _lead(self, here: tuple[int, int, int]) -> None:
        with self._lock:
            turn, self._waiting[here] = self._waiting[here], []
        for wish in turn:
            wish.woken.clear()
        try:
            self._take(turn)
        finally:
            for wish in turn:
                if not wish.woken.is_set():
                    wish.done(OSError(ECANCELED, "what others wanted at the same time broke off"))
            with self._lock:
                if not self._waiting[here]:
                    del self._waiting[here]
                else:
                    next_one = self._waiting[here][0]
                    next_one.leads = True
                    next_one.woken.set()
