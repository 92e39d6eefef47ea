"""An attachment in, its endpoint and addresses taken back in one transaction out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.blocks import Block, block_net, handle_blocks, with_block
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.leaving import given_up
from calico_rkt.plugin.store.etcd3.ops import Compare, Kv, Op, absent, delete, get, get_prefix, put, unchanged
from calico_rkt.plugin.store.etcd3.resources import (
    DEFAULT_BLOCK,
    Etcd3Pool,
    nonce_of,
    read_endpoint,
    read_pool,
    resource,
)
from calico_rkt.plugin.store.etcd3.view import IpamConfig
from calico_rkt.plugin.store.protocol import BrokenEndpointError
from calico_rkt.plugin.store.statefile import boot_id


def release(
    gateway: Gateway,
    node: str,
    key: Key,
    is_meant: Callable[[Endpoint], bool],
    addresses: Sequence[Address],
    likely: Iterable[Net],
    wrote: Callable[[Net, Kv, Kv | None], object],
) -> bool | None:
    """One attempt: whether there was something to take back; None when others wrote meanwhile.

    is_meant says of the endpoint that stands there whether it is the one. Where none stands there, addresses are
    given back that the attachment's handle still has. likely: blocks that spare a request when they are right. wrote is
    told of each block what it was and what it is now.
    """
    place = keys.ENDPOINTS + keys.endpoint_name(node, key.container, key.ifname)
    handle_id = keys.handle_id(key.network, key.container)
    guesses = _guesses(addresses, likely)
    found = gateway.read(
        get(place),
        get(keys.handle(handle_id)),
        get(keys.IPAM_CONFIG),
        get_prefix(keys.POOLS),
        *(get(keys.block(n)) for n in guesses),
    ).found
    endpoint, handle, config = (kvs[0] if kvs else None for kvs in found[:3])
    if endpoint is not None:
        theirs = _endpoint(endpoint, key, addresses)
        if theirs is None or theirs.key != key or not is_meant(theirs):
            return False
        addresses = theirs.addresses
    blocks = {net: kvs[0] for net, kvs in zip(guesses, found[4:], strict=True) if kvs}
    pools = [pool for kv in found[3] if (pool := read_pool(kv.value)) is not None]
    elsewhere = [a for a in addresses if not any(a in n for n in blocks)]
    blocks |= _others(gateway, handle, pools, elsewhere, set(guesses))
    compares: list[Compare] = [unchanged(place, endpoint.revision) if endpoint else absent(place)]
    ops: list[Op] = [delete(place)] if endpoint else []
    value = handle.value if handle else None
    now, cooldown = datetime.now(UTC), IpamConfig.parse(config).cooldown
    written: list[tuple[Net, Kv, bytes | None]] = []
    for net, kv in blocks.items():
        block = Block.parse(kv.value)
        count = sum(block.give_back(a, handle_id, now, cooldown) for a in addresses if a in net)
        if count:
            compares.append(unchanged(keys.block(net), kv.revision))
            leaving = given_up(gateway, pools, block)
            compares += leaving[0] if leaving else []
            ops += leaving[1] if leaving else []
            over = leaving is not None or (block.empty and not block.owner)
            written.append((net, kv, None if over else block.data()))
            value = with_block(value, net, -count) if value else None
    if handle is not None and value != handle.value:
        compares.append(unchanged(handle.key, handle.revision))
        ops.append(put(handle.key, value) if value else delete(handle.key))
    ops += [delete(kv.key) if data is None else put(kv.key, data) for _, kv, data in written]
    if not ops:
        return False
    answer = gateway.txn(compares, ops)
    if not answer.succeeded:
        return None
    for net, kv, data in written:
        wrote(net, kv, None if data is None else Kv(kv.key, data, answer.revision))
    return True


def _endpoint(stored: Kv, key: Key, addresses: Sequence[Address]) -> Endpoint | None:
    """The endpoint that stands there; one of ours that lost what it says of itself is known by its place and nonce."""
    of = resource(stored.value)
    try:
        return read_endpoint(of, boot_id())
    except BrokenEndpointError:
        return Endpoint(key, nonce_of(of), "", -1, -1, "", "", tuple(addresses))


def _guesses(addresses: Sequence[Address], likely: Iterable[Net]) -> list[Net]:
    usual = [block_net(a, DEFAULT_BLOCK[a.version]) for a in addresses]
    return list(dict.fromkeys([*(n for n in likely if any(a in n for a in addresses)), *usual]))


def _others(
    gateway: Gateway,
    handle: Kv | None,
    pools: Iterable[Etcd3Pool],
    addresses: Sequence[Address],
    known: Collection[Net],
) -> dict[Net, Kv]:
    """The blocks of addresses that were not where they usually are: the handle names them, and their pools do."""
    nets = [n for n in handle_blocks(handle.value) if any(a in n for a in addresses)] if handle and addresses else []
    nets += [block_net(a, p.block) for p in pools for a in addresses if a.version == p.net.version and a in p.net]
    nets = [n for n in dict.fromkeys(nets) if n not in known]
    if not nets:
        return {}
    found = gateway.read(*(get(keys.block(n)) for n in nets)).found
    return {net: kvs[0] for net, kvs in zip(nets, found, strict=True) if kvs}
