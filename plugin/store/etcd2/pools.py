"""A conf's subnets and the cluster's pools in, the pool of each out; one that is missing is made, none is ever changed.

An address is unique within a pool, so no subnet may lie in two pools, and none across a pool's edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.addresses import within
from calico_rkt.plugin.store.etcd2 import keys
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.values import Etcd2Pool, pool_value, read_pool


def read_pools(client: Client, versions: Iterable[int]) -> tuple[Etcd2Pool, ...]:
    found = (read_pool(node) for version in sorted(set(versions)) for node in client.tree(keys.pools(version)))
    return tuple(p for p in found if p is not None)


def pools_for(client: Client, ipam: Ipam, *, masquerade: bool) -> tuple[Etcd2Pool, ...]:
    """The pools of all subnets of a conf; CniError 7 for one that has no pool of its own and can't have one."""
    subnets = [r.subnet for ranges in ipam.ranges for r in ranges]
    pools = read_pools(client, (s.version for s in subnets))
    for subnet in subnets:
        if not _pool_of(subnet, pools):
            _make(client, subnet, masquerade=masquerade)
            pools = read_pools(client, (s.version for s in subnets))
            if not _pool_of(subnet, pools):
                raise CniError(
                    Code.DATASTORE,
                    f"subnet {subnet} has no pool in Calico's datastore, and none can be made",
                    f"what stands under the key {keys.pool(subnet)} is no pool: delete or mend it, and try again",
                )
    return pools


def pool_at(address: Address, pools: Sequence[Etcd2Pool]) -> Etcd2Pool:
    """The pool of an address, which must have one."""
    return next(p for p in pools if p.net.version == address.version and address in p.net)


def pool_problem(pools: Sequence[Etcd2Pool], subnet: Net, masquerade: bool) -> str:
    """What of the pool that a subnet lies in is not as its conf would have made it, in words; empty without one."""
    pool = next((p for p in pools if within(subnet, p.net)), None)
    if pool is None:
        return ""
    if pool.problem:
        return f"pool {pool.net}: {pool.problem}"
    if pool.net.version == 6:
        return f"pool {pool.net}: Felix of 2015 masquerades IPv4 only, ipMasq has no effect on it" if masquerade else ""
    if pool.masquerade != masquerade:
        says = "does not masquerade, though the conf says ipMasq" if masquerade else "masquerades, the conf does not"
        return f"pool {pool.net} {says}: it stays as it is"
    return ""


def _pool_of(subnet: Net, pools: Sequence[Etcd2Pool]) -> Etcd2Pool | None:
    """The one pool that a subnet lies in, usable; None when none is near it."""
    near = [p for p in pools if within(subnet, p.net) or within(p.net, subnet)]
    if not near:
        return None
    if len(near) > 1:
        raise CniError(
            Code.INVALID_CONF,
            f"subnet {subnet} meets several pools of Calico: {', '.join(str(p.net) for p in near)}",
            "an address would be unique in none of them: keep one, or choose another subnet",
        )
    (pool,) = near
    if not within(subnet, pool.net):
        raise CniError(
            Code.INVALID_CONF,
            f"subnet {subnet} overlaps pool {pool.net} of Calico without lying in it",
            "choose a subnet inside of one pool, or outside of all",
        )
    if pool.problem:
        raise CniError(Code.POOL_EXHAUSTED, f"no address may be taken from pool {pool.net}: {pool.problem}")
    return pool


def _make(client: Client, subnet: Net, *, masquerade: bool) -> None:
    """Make the pool of a subnet. Where another host makes one that overlaps it, the later of both goes again.

    etcd v2 compares no two keys at once, so this looks afterwards: whoever came second sees the first. No address is
    taken before, since two pools that overlap are refused.
    """
    if not client.create(keys.pool(subnet), pool_value(subnet, masquerade=masquerade)):
        return
    mine = client.get(keys.pool(subnet))
    others = [p for p in read_pools(client, (subnet.version,)) if mine is not None and p.created < mine.created]
    if mine is not None and any(within(subnet, p.net) or within(p.net, subnet) for p in others):
        client.delete(mine)
        return
    LOG.info("pool %s is made", subnet)
