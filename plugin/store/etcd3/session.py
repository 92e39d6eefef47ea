"""How to reach a cluster in, a session out that is kept for the next call of the same process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd3.gateway import Gateway

_LOCK = threading.Lock()
_IDLE: dict[Access, list[Session]] = {}


@dataclass(slots=True)
class Session:
    """Connections to a cluster, and what was learnt of it: where each network's range sets last found room.

    Nothing here is needed for a right answer.
    """

    gateway: Gateway
    blocks: dict[tuple[str, int], Net] = field(default_factory=dict)
    borrowed: dict[tuple[str, int], Net] = field(default_factory=dict)


def take(access: Access) -> Session:
    """A session that nobody else has; its clock starts now."""
    with _LOCK:
        idle = _IDLE.get(access)
        session = idle.pop() if idle else None
    if session is None:
        return Session(Gateway(access))
    session.gateway.begin()
    return session


def give_back(session: Session) -> None:
    with _LOCK:
        _IDLE.setdefault(session.gateway.access, []).append(session)
