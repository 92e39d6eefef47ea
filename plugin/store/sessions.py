"""How to reach a cluster in, what talks with it out: kept with its connections for the next call of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from calico_rkt.plugin.store.access import Access


class KeptSession(Protocol):
    """What talks with a cluster, for one call after the other."""

    @property
    def access(self) -> Access: ...

    def begin(self) -> None:
        """A call's clock starts."""


S = TypeVar("S", bound=KeptSession)


class Sessions(Generic[S]):
    """Sessions that wait for their next call. Any thread may use it; make opens a new one."""

    def __init__(self, make: Callable[[Access], S]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._idle: dict[Access, list[S]] = {}

    def take(self, access: Access) -> S:
        """A session that nobody else has; its clock starts now."""
        with self._lock:
            idle = self._idle.get(access)
            session = idle.pop() if idle else None
        if session is None:
            return self._make(access)
        session.begin()
        return session

    def give_back(self, session: S) -> None:
        with self._lock:
            self._idle.setdefault(session.access, []).append(session)
