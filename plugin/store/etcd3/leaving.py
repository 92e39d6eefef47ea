"""A node and the pools that don't select it any more in, the empty blocks that it gives up out.

As stock does it (libcalico-go/lib/ipam, ensureConsistentAffinity and prepareAffinityBlocksForHost): when a block has
become empty, and at an ADD for blocks outside the pools that it asks. A pool that is not enabled, a node that Calico
does not know and a selector that can't be read change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.store.addresses import within
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.blocks import Block, BrokenBlockError
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import Compare, Kv, Op, delete, get, unchanged
from calico_rkt.plugin.store.etcd3.resources import Etcd3Pool, resource, section

_AT_ONCE = 16
"""Blocks that one ADD gives up: etcd takes 128 operations in a transaction."""
Writes = tuple[list[Compare], list[Op]]


def given_up(gateway: Gateway, pools: Iterable[Etcd3Pool], block: Block) -> Writes | None:
    """What takes the affinity of an empty block away, where its pool does not select its owner; None where it stays.

    Asks etcd only where the pool has a selector that some nodes may not fit.
    """
    pool = _choosy(pools, block.net)
    if pool is None or not block.owner or not block.empty:
        return None
    affinity = keys.affinity(block.owner, block.net)
    nodes, affinities = gateway.read(get(keys.node(block.owner)), get(affinity)).found
    if not nodes or _selects(pool, nodes[0]):
        return None
    if not affinities:
        return [], []
    return [unchanged(affinity, affinities[0].revision)], [delete(affinity)]


def left_behind(
    gateway: Gateway, pools: Sequence[Etcd3Pool], asked: Sequence[Etcd3Pool], node: Kv, affinities: Iterable[Kv]
) -> Writes:
    """What gives up a node's empty blocks in pools that this ADD does not ask and that don't select the node."""
    gone: list[tuple[Net, Kv]] = []
    for kv in affinities:
        net = keys.net_of(kv.key)
        pool = _choosy(pools, net)
        if pool is not None and pool not in asked and not _selects(pool, node):
            gone.append((net, kv))
    gone = gone[:_AT_ONCE]
    compares: list[Compare] = []
    ops: list[Op] = []
    if not gone:
        return compares, ops
    name = str(section(resource(node.value), "metadata").get("name", ""))
    for (net, affinity), found in zip(gone, gateway.read(*(get(keys.block(n)) for n, _ in gone)).found, strict=True):
        if found and not _is_empty(found[0], name):
            continue
        compares += [unchanged(affinity.key, affinity.revision), unchanged(keys.block(net), _revision(found))]
        ops += [delete(affinity.key), *([delete(keys.block(net))] if found else [])]
    return compares, ops


def _is_empty(kv: Kv, owner: str) -> bool:
    try:
        block = Block.parse(kv.value)
    except BrokenBlockError:
        return False
    return block.empty and block.owner == owner


def _revision(found: Sequence[Kv]) -> int:
    return found[0].revision if found else 0


def _choosy(pools: Iterable[Etcd3Pool], net: Net) -> Etcd3Pool | None:
    """The enabled pool of a block, where it is not for every node."""
    pool = next((p for p in pools if p.enabled and within(net, p.net)), None)
    return pool if pool is not None and pool.selector not in ("", "all()") else None


def _selects(pool: Etcd3Pool, node: Kv) -> bool:
    from calico_rkt.compiler.ir.selector_parser import SelectorError, parse_selector

    labels = section(resource(node.value), "metadata").get("labels")
    try:
        return parse_selector(pool.selector).matches(labels if isinstance(labels, Mapping) else {})
    except SelectorError:
        return True
