"""The nftables table looked at; built anew where something of it is gone."""

from __future__ import annotations

from calico_rkt.compiler.ids import object_id
from calico_rkt.plugin.enforce import table
from calico_rkt.plugin.locks import policy_lock
from calico_rkt.plugin.log import LOG
from calico_rkt.plugin.policy import finish_apply, restore
from calico_rkt.plugin.store.local import open_local


def mend() -> bool:
    """Restore what a flush has taken away, where this host has endpoints that need it; whether it was needed.

    An apply that was cut short comes first: its profiles are what is in force.
    """
    store = open_local()
    try:
        if not store.is_there():
            return False
        with policy_lock(store.run_dir):
            finish_apply(store)
            used = [u for u in store.usage() if u.endpoints]
            if not used or (table.base_present() and all(table.chains_present(object_id(u.network)) for u in used)):
                return False
            count, closed = restore(store)
        LOG.warning("the nftables table was not whole: built anew for %d endpoints%s", count, _closed(closed))
        return True
    finally:
        store.close()


def _closed(networks: tuple[str, ...]) -> str:
    return f"; closed, since their profile is missing or unfit: {', '.join(networks)}" if networks else ""
