"""An ADD that an agent took and died with in, everything of that attempt taken back out."""

from __future__ import annotations

from collections.abc import Callable

from calico_rkt.plugin.attach import delete
from calico_rkt.plugin.calls.dispatch import open_store
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.locks import attachment_lock
from calico_rkt.plugin.process.log import LOG, open_log

PATIENCE = 10.0
"""Seconds to wait for an agent that is alive but silent: it takes the ADD back itself once it wakes."""


def undoing_add(nonce: str) -> Callable[[Request, Callable[[str], None]], None]:
    """What to do in place of the verb: nothing carries this nonce afterwards, and the answer is code 11."""

    def act(request: Request, _say: Callable[[str], None]) -> None:
        open_log(request.conf.log_level)
        key = delete.key_of(request)
        store = open_store(request.conf)
        try:
            with (
                signals.watched(lambda: "the agent is gone"),
                signals.undoing(),
                attachment_lock(store.run_dir, key, patience=PATIENCE),
            ):
                delete.take_back(key, nonce, store)
        finally:
            store.close()
        LOG.warning("ADD %s %s %s: the agent went away with it; taken back", key.network, key.container, key.ifname)
        raise CniError(Code.TRY_AGAIN, "the agent went away in the middle of this ADD; what it had begun is taken back")

    return act
