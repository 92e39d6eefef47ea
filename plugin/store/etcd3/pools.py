"""A conf's subnets and the cluster's IPPools in, the pools that are missing made out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from calico_rkt.compiler.conf.netconf import Ipam, Net
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.addresses import within
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import absent, put, untouched_since
from calico_rkt.plugin.store.etcd3.resources import Etcd3Pool, encode_resource, pool_resource
from calico_rkt.plugin.store.etcd3.view import View


def make_missing(gateway: Gateway, view: View, ipam: Ipam, now: datetime, *, nat: bool) -> bool:
    """Create an IPPool for a subnet that lies in none; whether one was missing. What exists is never changed."""
    for r in (r for ranges in ipam.ranges for r in ranges):
        over = [p for p in view.pools if _overlap(p.net, r.subnet)]
        if any(within(r.subnet, p.net) for p in over):
            continue
        if over:
            raise CniError(
                Code.INVALID_CONF,
                f"subnet {r.subnet} overlaps IPPool {over[0].name} ({over[0].net}) without lying in it",
                "choose a subnet inside of one pool, or outside of all",
            )
        of = pool_resource(r.subnet, now, nat=nat)
        key = keys.POOLS + of["metadata"]["name"]
        # Calico has no two pools that overlap, so none may have come to be since they were read.
        gateway.txn([absent(key), untouched_since(keys.POOLS, view.revision)], [put(key, encode_resource(of))])
        LOG.info("IPPool %s is made for subnet %s", of["metadata"]["name"], r.subnet)
        return True
    return False


def pool_problem(pools: Sequence[Etcd3Pool], subnet: Net, nat: bool) -> str:
    """What of the pool that a subnet lies in is not as its conf would have made it, in words; empty without one."""
    pool = next((p for p in pools if within(subnet, p.net)), None)
    if pool is None:
        return ""
    if pool.problem:
        return f"IPPool {pool.name}: {pool.problem}"
    if pool.nat != nat:
        says = "has no natOutgoing, though the conf says ipMasq" if nat else "has natOutgoing, but the conf no ipMasq"
        return f"IPPool {pool.name} {says}: it stays as it is"
    return ""


def _overlap(one: Net, other: Net) -> bool:
    return within(one, other) or within(other, one)
