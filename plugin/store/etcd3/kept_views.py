"""What an ADD ended with in, what the next one of this process may take a cluster to be out.

Whatever is believed here is compared by who writes with it (View.unmoved): a view that is over costs a request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.view import View

_MOST = 32
_MOST_COMPARED = 64
"""Keys of a view that is kept: each is compared, a block twice, and etcd takes 128 operations in a transaction."""
_MOST_BYTES = 1 << 18
"""What its blocks may be together: each goes along twice, and etcd takes a request of 1.5 MB."""


class KeptViews:
    """Views of one cluster, one for each node's network. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[tuple[str, str], tuple[View, float]] = {}
        """Each with when it was found true, by the monotonic clock."""

    def take(self, node: str, network: str, since: float) -> View | None:
        """The view to begin with, which nobody else has then; None where there is none.

        since: when the connection was opened that it is to be compared over. One from before stays where it is: to put
        a cluster back to what it was ends all connections, and what DELs have left may look alike in two histories.
        """
        with self._lock:
            view, at = self._views.get((node, network), (None, 0.0))
            if view is None or at < since:
                return None
            del self._views[node, network]
            return view

    def keep(self, node: str, network: str, view: View, blocks: Mapping[Net, Kv]) -> None:
        """Keep a view for the next container of a network, with the blocks as they are by now.

        Without a block it would be compared by revisions alone, see View.unmoved().
        """
        if not blocks or len(view.revisions) + 2 * len(blocks) > _MOST_COMPARED:
            return
        if sum(len(kv.value) for kv in blocks.values()) > _MOST_BYTES:
            return
        kept = replace(view, endpoint=None, handle=None, blocks=dict(blocks))
        with self._lock:
            if len(self._views) >= _MOST:
                self._views.clear()
            self._views[node, network] = kept, time.monotonic()

    def wrote(self, net: Net, before: Kv, now: Kv | None) -> None:
        """A block that was so was written, or is gone."""
        with self._lock:
            for place, (view, at) in tuple(self._views.items()):
                if view.blocks.get(net) != before:
                    continue
                if now is None:
                    del self._views[place]
                else:
                    self._views[place] = replace(view, blocks={**view.blocks, net: now}), at
