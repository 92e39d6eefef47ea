"""The host's records and published profiles in; its table whole again out, closed first: the command `restore`."""

from __future__ import annotations

import sys

from calico_rkt.plugin import policy
from calico_rkt.plugin.enforce import table
from calico_rkt.plugin.locks import policy_lock
from calico_rkt.plugin.store.local import LocalStore, open_local

_ATTEMPTS = 20


def restore_host() -> int:
    """Do it and print what came of it; 1 where networks stay closed, else 0."""
    table.close_first()  # before any lock and any file
    store = open_local()
    try:
        endpoints, closed = restored(store)
    finally:
        store.close()
    print(f"restored {endpoints} endpoints")
    for network_id in closed:
        print(
            f"calico-rkt: network {network_id} stays closed: its published profile is missing or unfit", file=sys.stderr
        )
    return 1 if closed else 0


def restored(store: LocalStore) -> tuple[int, tuple[str, ...]]:
    """Restore until the table is whole: a flush may come at any moment. As policy.restore()."""
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        policy.finish_apply(store)
        for _ in range(_ATTEMPTS):
            found = policy.restore(store)
            if table.close_first() is table.Standing.WHOLE:
                break
    return found
