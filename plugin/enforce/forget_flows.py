"""An endpoint whose link is still down in; out, the certainty that conntrack knows no flow of its addresses.

A plain ADD does not look into conntrack: packets to an address that nobody holds go nowhere (guard), and flows that a
former holder left are forgotten by who takes the address next, together with all others that were left: one walk
through conntrack, which takes 20 us a flow, for many addresses, and none at DEL.
"""

from __future__ import annotations

from collections.abc import Collection

from calico_rkt.compiler.conf.netconf import Address, Net, NetConf
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import conntrack, guard
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.locks import flows_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore


def settle_flows(
    store: LocalStore, conf: NetConf, endpoint: Endpoint, exposed: Collection[Address]
) -> tuple[Address, ...]:
    """Forget what has to be forgotten before the endpoint's link comes up.

    exposed: its addresses that had no guard until now, since there was none or somebody's route won. They get one of
    their own: (returned) those whose guard is to be taken away when their own route is there.
    """
    if conf.ipam.guard and not exposed and store.is_settled(conf.name, guard.guards_key(conf.ipam)):
        return ()
    with flows_lock(store.run_dir):
        _take(store, _record(store, conf, ()))
        nets = store.unheld.guards(conf.name)
        _put(store, nets, store.unheld.doubt(nets))
        kept_back = guard.open_to(endpoint.addresses)
        guard.put_guards(guard.host_prefixes(kept_back))
        for_good = kept_back if _is_delegated(conf) and conf.ipam.guard else ()
        _take(store, _record(store, conf, for_good))
        store.unheld.leave(endpoint.addresses)
        _forget(store, endpoint.addresses)
    return tuple(a for a in kept_back if a not in for_good)


def release_guards(kept_back: Collection[Address]) -> None:
    """Take the addresses' own guards away."""
    guard.take_guards(guard.host_prefixes(kept_back))


def release_unfinished(store: LocalStore, addresses: Collection[Address]) -> None:
    """Take away what kept the addresses of an ADD back that never came to its end."""
    known = store.unheld.guards()
    guard.take_guards(n for n in guard.host_prefixes(addresses) if n not in known)


def restore_guards(store: LocalStore) -> None:
    """Put back the guards that somebody took away; what went by meanwhile is forgotten by the next ADD.

    Where that can't be noted (a full disk, a /run that is read-only) it is forgotten now.
    """
    nets = store.unheld.guards()
    missing = guard.missing_guards(nets)
    if not missing:
        return
    with flows_lock(store.run_dir):
        try:
            doubted = store.unheld.doubt(nets)
        except CniError as e:
            LOG.warning("%s; the flows of %s are forgotten now", e.msg, ", ".join(map(str, missing)))
            guard.put_guards(nets)
            conntrack.forget((), missing, store.unheld.left().held)
            return
        _put(store, nets, doubted)


def drop_guards(store: LocalStore, networks: Collection[str]) -> None:
    """Take the guards of networks away that nobody uses any more."""
    with flows_lock(store.run_dir):
        _take(store, store.unheld.forget_networks(networks))


def _take(store: LocalStore, nobodys: Collection[Net]) -> None:
    guard.take_guards(nobodys)
    store.unheld.gone(nobodys)


def _record(store: LocalStore, conf: NetConf, more: Collection[Address]) -> tuple[Net, ...]:
    """Note the network's guards; delegated ipam: all addresses that it ever gave, and more."""
    nets = guard.prefixes(conf.ipam)
    if _is_delegated(conf) and conf.ipam.guard:
        nets = (*store.unheld.guards(conf.name), *guard.host_prefixes(more))
    return store.unheld.record(conf.name, guard.guards_key(conf.ipam), nets)


def _put(store: LocalStore, nets: Collection[Net], doubted: Collection[Net]) -> None:
    """Those that were not there may have been away for long: what went to them is in doubt before they are back.

    doubted: of what doubt() has said so.
    """
    fresh = guard.put_guards(nets)
    store.unheld.trust([n for n in doubted if n not in fresh])


def _forget(store: LocalStore, mine: Collection[Address]) -> None:
    left = store.unheld.left()
    others = left.held - set(mine)  # theirs to forget, as long as they are not up
    addresses = tuple(a for a in left.addresses if a not in others)
    conntrack.forget(addresses, left.ranges, others)
    store.unheld.forgotten(addresses, left.ranges)


def _is_delegated(conf: NetConf) -> bool:
    return not conf.ipam.ranges
