"""An ipam plugin that is to take something back for nobody in; how long it may take, out: less once it has hung.

One that hangs mostly hangs each time: without this, many notes were a minute each, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from calico_rkt.plugin.cni.program import EndedError
from calico_rkt.plugin.errors import CniError, Code

FOR_NOBODY = 60.0
"""Seconds that a plugin has for a DEL that no runtime waits for: one that hangs must not keep the others waiting."""
ONCE_HUNG = 5.0
"""The same for its next ones after it has hung; and FOR_NOBODY is what all of these may hang together."""


class Patience:
    """That of one act, for as many plugins as there are; first: seconds that each has before it has hung."""

    def __init__(self, first: float = FOR_NOBODY) -> None:
        self._first = first
        self._left: dict[str, float] = {}

    @contextmanager
    def asking(self, plugin: str) -> Iterator[float]:
        """Seconds that it may take this time. CniError 11 where it has hung for so long that it is not asked again."""
        left = self._left.get(plugin)
        if left is not None and left <= 0:
            message = f"ipam plugin {plugin!r} was not asked, since it has hung again and again"
            raise CniError(Code.TRY_AGAIN, message, "what it gave is given back by the next calico-rkt gc")
        begun = time.monotonic()
        try:
            yield self._first if left is None else min(ONCE_HUNG, left)
        except EndedError:
            self._left[plugin] = FOR_NOBODY if left is None else left - (time.monotonic() - begun)
            raise
