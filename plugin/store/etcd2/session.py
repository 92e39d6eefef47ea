"""How to reach a cluster in, its client out, kept for the next call of the same process."""

from __future__ import annotations

from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.sessions import Sessions

_CLIENTS = Sessions(Client)
take, give_back = _CLIENTS.take, _CLIENTS.give_back
