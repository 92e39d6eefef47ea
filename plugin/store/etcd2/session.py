"""How to reach a cluster in, its client out, kept for the next call of the same process with its connections."""

from __future__ import annotations

import threading

from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd2.client import Client

_LOCK = threading.Lock()
_IDLE: dict[Access, list[Client]] = {}


def take(access: Access) -> Client:
    """A client that nobody else has; its clock starts now."""
    with _LOCK:
        idle = _IDLE.get(access)
        client = idle.pop() if idle else None
    if client is None:
        return Client(access)
    client.begin()
    return client


def give_back(client: Client) -> None:
    with _LOCK:
        _IDLE.setdefault(client.access, []).append(client)
