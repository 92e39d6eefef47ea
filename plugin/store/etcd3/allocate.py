"""Range sets and a view of the cluster in, addresses and the writes that take them out: Calico's block IPAM.

Nothing is written here: a claimed block, its affinity and the address taken in it go into the one transaction
that also stores the endpoint, each compared with the revision that was read. The order of the search is that of
stock calico-ipam (libcalico-go/lib/ipam): the node's own blocks, a new one, an idle one of another node, and
where affinity is not strict an address of another node's block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.addresses import by_set, within
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.blocks import Block, BrokenBlockError, Holder, block_net
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.leaving import left_behind
from calico_rkt.plugin.store.etcd3.ops import Compare, Kv, Op, delete, get, get_prefix, put, unchanged
from calico_rkt.plugin.store.etcd3.resources import Etcd3Pool, resource
from calico_rkt.plugin.store.etcd3.usable import Usable
from calico_rkt.plugin.store.etcd3.view import View

CONFIRMED = json.dumps({"state": "confirmed", "deleted": False}, separators=(",", ":")).encode()
_AT_ONCE = 64
"""Blocks that one request reads: etcd takes 128 operations in a transaction."""


@dataclass(slots=True)
class Draft:
    """Writes that are to happen together, each on a key that must still be as it was read (0: not there)."""

    blocks: dict[Net, tuple[Block, int]] = field(default_factory=dict)
    compares: list[Compare] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    _data: dict[Net, bytes] = field(default_factory=dict)

    def writes(self) -> tuple[list[Compare], list[Op]]:
        compares = [unchanged(keys.block(net), revision) for net, (_, revision) in self.blocks.items()]
        self._data = {net: block.data() for net, (block, _) in self.blocks.items()}
        ops = [put(keys.block(net), data) for net, data in self._data.items()]
        return [*compares, *self.compares], [*ops, *self.ops]

    def is_plain(self, node: str) -> bool:
        """Whether it takes addresses out of the node's own blocks, and changes nothing else."""
        return not self.ops and all(block.owner == node for block, _ in self.blocks.values())

    def stored(self, revision: int) -> dict[Net, Kv]:
        """The blocks as they are stored since writes() was done, at that revision."""
        return {net: Kv(keys.block(net), data, revision) for net, data in self._data.items()}


class Allocator:
    """One attempt to find the addresses of one endpoint. borrowed: foreign blocks that lately had room."""

    def __init__(self, gateway: Gateway, view: View, holder: Holder, now: datetime, borrowed: Sequence[Net]) -> None:
        self._gateway, self._view, self._holder, self._now = gateway, view, holder, now
        self._borrowed = borrowed
        self._read: dict[Net, Kv | None] = dict(view.blocks)
        self.draft = Draft()

    def choose(self, network: str, ipam: Ipam, requested: Sequence[Address]) -> tuple[Address, ...]:
        """One address of each range set, requested ones first; CniError as the local datastore has them."""
        wanted = by_set(network, ipam, requested)
        chosen: list[Address] = []
        for number, ranges in enumerate(ipam.ranges):
            if number in wanted:
                block, address = self._asked(wanted[number])
            else:
                usable = Usable(network, ranges, (*ipam.exclude, *self._view.reserved), self._pools(network, ranges))
                block, address = self._search(usable)
            block.take(address, self._holder, self._now)
            chosen.append(address)
        asked = {r.subnet for ranges in ipam.ranges for r in ranges}
        nets = {*asked, *(block_net(a, a.max_prefixlen) for a in chosen)}
        self._leave([p for p in self._view.pools if any(within(net, p.net) for net in nets)])
        return tuple(chosen)

    def _leave(self, asked: Sequence[Etcd3Pool]) -> None:
        """Give up empty blocks in other pools that have stopped to select this node."""
        view = self._view
        if view.node is not None:
            compares, ops = left_behind(self._gateway, view.pools, asked, view.node, view.affinities)
            self.draft.compares += compares
            self.draft.ops += ops

    def _pools(self, network: str, ranges: Sequence[Range]) -> tuple[Etcd3Pool, ...]:
        """The pool of each range, without repetition."""
        found = []
        for r in ranges:
            pool = next((p for p in self._view.pools if within(r.subnet, p.net)), None)
            assert pool is not None, "the store makes the pools that are missing"
            if pool.problem:
                raise CniError(
                    Code.POOL_EXHAUSTED,
                    f"no address of {r.subnet} can be had for network {network!r}: IPPool {pool.name}: {pool.problem}",
                )
            found.append(pool)
        return tuple(dict.fromkeys(found))

    def _search(self, usable: Usable) -> tuple[Block, Address]:
        self._view.check_node(self._holder.node)
        for step in (self._own, self._new, self._borrow_again, self._anothers):
            found = step(usable)
            if found is not None:
                return found
        ranges = ", ".join(f"{r.first}-{r.last}" for r in usable.ranges)
        why = "no more free affine blocks and strict affinity enabled" if self._view.config.strict else "all are taken"
        raise CniError(Code.POOL_EXHAUSTED, f"network {usable.network!r} has no free address left in {ranges}", why)

    def _own(self, usable: Usable) -> tuple[Block, Address] | None:
        """The node's own blocks, those first that are read already, then in the order of their keys."""
        own = {keys.net_of(kv.key): kv for kv in self._view.affinities}
        mine = {net: kv for net, kv in own.items() if usable.pool(net) and usable.overlaps(net)}
        for net in sorted(mine, key=lambda n: n not in self._read):
            if net not in self._read:
                self._fetch([n for n in mine if n not in self._read])
            found = self._own_block(net, mine[net], usable)
            if found is not None:
                return found
        return None

    def _own_block(self, net: Net, affinity: Kv, usable: Usable) -> tuple[Block, Address] | None:
        """An address of one's own block; what a killed process began to claim is claimed."""
        if self._read[net] is None:
            return self._claim(net, affinity.revision, usable)
        block = self._block(net)
        if block is None or block.owner != self._holder.node:
            return None
        address = usable.first(block)
        if address is None:
            return None
        if (resource(affinity.value).get("state") or "confirmed") != "confirmed":
            block.claim(self._holder.node, self._now)
            self._put_affinity(net, affinity.revision)
        self._use(net, block)
        return block, address

    def _new(self, usable: Usable) -> tuple[Block, Address] | None:
        if not self._view.config.new_blocks:
            return None
        count = sum(1 for kv in self._view.affinities if usable.pool(keys.net_of(kv.key)))
        if count >= self._view.config.most_blocks:
            raise CniError(
                Code.POOL_EXHAUSTED,
                f"network {usable.network!r} has no free address left on this node",
                f"cannot allocate new block due to per host block limit ({self._view.config.most_blocks})",
            )
        there = {kv.key for kv in self._list(usable)}
        for net in usable.walk(self._holder.node):
            if keys.block(net) not in there:
                found = self._claim(net, self._affinity_revision(net), usable)
                if found is not None:
                    return found
        return None

    def _borrow_again(self, usable: Usable) -> tuple[Block, Address] | None:
        """A foreign block that lately had room: saves looking through all of them."""
        nets = [n for n in self._borrowed if usable.pool(n) and usable.overlaps(n)]
        self._fetch([n for n in nets if n not in self._read])
        return next(filter(None, (self._borrow(net, usable) for net in nets)), None)

    def _anothers(self, usable: Usable) -> tuple[Block, Address] | None:
        """An idle block of another node, or an address in a block that is not idle."""
        foreign: Net | None = None
        nets = [n for n in (keys.net_of(kv.key) for kv in self._list(usable)) if usable.pool(n) and usable.overlaps(n)]
        for start in range(0, len(nets), _AT_ONCE):
            self._fetch([n for n in nets[start : start + _AT_ONCE] if n not in self._read])
            for net in nets[start : start + _AT_ONCE]:
                block = self._block(net)
                if block is None or block.owner == self._holder.node or usable.first(block) is None:
                    continue
                if block.reclaimable(self._now) and self._view.config.new_blocks:
                    return self._reclaim(net, block, usable)
                foreign = foreign or net
        return self._borrow(foreign, usable) if foreign is not None else None

    def _reclaim(self, net: Net, block: Block, usable: Usable) -> tuple[Block, Address] | None:
        """Take an idle block over; its owner's affinity goes in the same moment."""
        revision = self._draft_revision(net)
        if block.owner:
            theirs = keys.affinity(block.owner, net)
            kvs = self._gateway.read(get(theirs)).found[0]
            self.draft.compares.append(unchanged(theirs, kvs[0].revision if kvs else 0))
            self.draft.ops.append(delete(theirs))
        return self._claim(net, self._affinity_revision(net), usable, revision)

    def _borrow(self, net: Net, usable: Usable) -> tuple[Block, Address] | None:
        block = None if self._view.config.strict else self._block(net)
        address = usable.first(block) if block is not None else None
        if block is None or address is None:
            return None
        self._use(net, block)
        return block, address

    def _claim(self, net: Net, affinity: int, usable: Usable, revision: int = 0) -> tuple[Block, Address] | None:
        block = Block.new(net, self._holder.node, self._now)
        address = usable.first(block)
        if address is None:
            return None
        self.draft.blocks[net] = block, revision
        self._put_affinity(net, affinity)
        return block, address

    def _put_affinity(self, net: Net, revision: int) -> None:
        key = keys.affinity(self._holder.node, net)
        self.draft.compares.append(unchanged(key, revision))
        self.draft.ops.append(put(key, CONFIRMED))

    def _affinity_revision(self, net: Net) -> int:
        key = keys.affinity(self._holder.node, net)
        return next((kv.revision for kv in self._view.affinities if kv.key == key), 0)

    def _asked(self, address: Address) -> tuple[Block, Address]:
        """The block of an address that was asked for; any enabled pool will do."""
        pool = next((p for p in self._view.pools if address in p.net), None)
        if pool is None or pool.problem:
            why = f"IPPool {pool.name}: {pool.problem}" if pool else "no IPPool holds it"
            raise CniError(Code.ADDRESS_OUTSIDE, f"the requested address {address} can't be had", why)
        net = block_net(address, pool.block)
        self._fetch([net] if net not in self._read else [])
        block = self._block(net)
        if block is None and self._read[net] is None:
            self.draft.blocks[net] = Block.new(net, self._holder.node, self._now), 0
            self._put_affinity(net, self._affinity_revision(net))
            return self.draft.blocks[net][0], address
        if block is None:
            raise CniError(Code.IO, f"Calico's block {net} can't be used", "calicoctl ipam check says more")
        if block.owner != self._holder.node and self._view.config.strict:
            raise CniError(Code.ADDRESS_TAKEN, f"{address} is in block {net} of another node", "affinity is strict")
        taken = block.holder(address)
        if taken is not None:
            raise CniError(Code.ADDRESS_TAKEN, f"{address} is taken by {taken.handle or 'nobody (cooldown)'}")
        self._use(net, block)
        return block, address

    def _block(self, net: Net) -> Block | None:
        """A block that has been read, with what this draft does to it already; None where it can't be used."""
        if net in self.draft.blocks:
            return self.draft.blocks[net][0]
        kv = self._read.get(net)
        if kv is None:
            return None
        try:
            block = Block.parse(kv.value)
        except BrokenBlockError:
            return None
        block.thaw(self._now, self._view.config.cooldown)
        return block

    def _use(self, net: Net, block: Block) -> None:
        self.draft.blocks[net] = block, self._draft_revision(net)

    def _draft_revision(self, net: Net) -> int:
        if net in self.draft.blocks:
            return self.draft.blocks[net][1]
        kv = self._read.get(net)
        return kv.revision if kv is not None else 0

    def _fetch(self, nets: Sequence[Net]) -> None:
        for start in range(0, len(nets), _AT_ONCE):
            some = nets[start : start + _AT_ONCE]
            found = self._gateway.read(*(get(keys.block(net)) for net in some)).found
            self._read.update({net: kvs[0] if kvs else None for net, kvs in zip(some, found, strict=True)})

    def _list(self, usable: Usable) -> tuple[Kv, ...]:
        return self._gateway.read(get_prefix(keys.blocks(usable.version), keys_only=True)).found[0]
