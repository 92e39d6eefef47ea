"""The nftables table looked at; built anew where something of it is gone."""

from __future__ import annotations

from calico_rkt.compiler.ids import object_id
from calico_rkt.plugin.enforce import table
from calico_rkt.plugin.locks import policy_lock
from calico_rkt.plugin.log import LOG
from calico_rkt.plugin.policy import finish_apply, restore
from calico_rkt.plugin.store.local import LocalStore, open_local


def mend() -> bool:
    """Restore what a flush has taken away, where this host has endpoints that need it; whether it was needed.

    An apply that was cut short comes first: its profiles are what is in force.
    """
    store = open_local()
    try:
        if not store.is_there() or _is_whole(store):  # most news are no loss, and must not hold calls up
            return False
        with policy_lock(store.run_dir):
            finish_apply(store)
            if _is_whole(store):
                return False
            count, closed = restore(store)
        LOG.warning("the nftables table was not whole: built anew for %d endpoints%s", count, _closed(closed))
        return True
    finally:
        store.close()


def _is_whole(store: LocalStore) -> bool:
    if store.pending():
        return False
    used = [u.network for u in store.usage() if u.endpoints]
    return not used or (table.base_present() and all(table.chains_present(object_id(n)) for n in used))


def _closed(networks: tuple[str, ...]) -> str:
    return f"; closed, since their profile is missing or unfit: {', '.join(networks)}" if networks else ""
