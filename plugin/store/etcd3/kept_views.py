"""What an ADD ended with in, what the next one of this process may take a cluster to be out.

Whatever is believed here is compared by who writes with it (View.unmoved): a view that is over costs a request.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.view import View

_MOST = 32
_MOST_COMPARED = 64
"""Keys of a view that is kept: each is compared, and etcd takes 128 operations in a transaction."""


class KeptViews:
    """Views of one cluster, one for each node's network. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[tuple[str, str], View] = {}

    def take(self, node: str, network: str) -> View | None:
        """The view to begin with, which nobody else has then; None where there is none."""
        with self._lock:
            return self._views.pop((node, network), None)

    def keep(self, node: str, network: str, view: View, blocks: Mapping[Net, Kv]) -> None:
        """Keep a view for the next container of a network, with the blocks as they are by now.

        Without a block it would be compared by revisions alone, see View.unmoved().
        """
        if not blocks or len(view.revisions) > _MOST_COMPARED:
            return
        with self._lock:
            if len(self._views) >= _MOST:
                self._views.clear()
            self._views[node, network] = replace(view, endpoint=None, handle=None, blocks=dict(blocks))

    def wrote(self, net: Net, before: int, now: Kv | None) -> None:
        """A block of that revision was written, or is gone."""
        with self._lock:
            for place, view in tuple(self._views.items()):
                known = view.blocks.get(net)
                if known is None or known.revision != before:
                    continue
                if now is None:
                    del self._views[place]
                else:
                    self._views[place] = replace(view, blocks={**view.blocks, net: now})
