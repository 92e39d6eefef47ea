"""How to reach a cluster in, a session out that is kept for the next call of the same process."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.kept_views import KeptViews
from calico_rkt.plugin.store.sessions import Sessions


@dataclass(slots=True)
class Session:
    """Connections to a cluster, and what was learnt of it: where each network's range sets last found room.

    Nothing here is needed for a right answer. views are those of all sessions of the cluster.
    """

    gateway: Gateway
    views: KeptViews
    blocks: dict[tuple[str, int], Net] = field(default_factory=dict)
    borrowed: dict[tuple[str, int], Net] = field(default_factory=dict)

    @property
    def access(self) -> Access:
        return self.gateway.access

    def begin(self) -> None:
        self.gateway.begin()


_VIEWS: defaultdict[Access, KeptViews] = defaultdict(KeptViews)
_SESSIONS = Sessions(lambda access: Session(Gateway(access), _VIEWS[access]))
take, give_back = _SESSIONS.take, _SESSIONS.give_back
