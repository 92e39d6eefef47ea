"""A range set and the pools it lies in in; its blocks, and the first free address in one of them, out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Address, Net, Range
from calico_rkt.plugin.store.addresses import within
from calico_rkt.plugin.store.etcd3.blocks import Block, block_net
from calico_rkt.plugin.store.etcd3.resources import Etcd3Pool


@dataclass(frozen=True, slots=True)
class Usable:
    """What of the pools one range set leaves."""

    network: str
    ranges: Sequence[Range]
    without: Sequence[Net]
    pools: Sequence[Etcd3Pool]

    @property
    def version(self) -> int:
        return self.ranges[0].subnet.version

    def pool(self, block: Net) -> Etcd3Pool | None:
        return next((p for p in self.pools if within(block, p.net)), None)

    def overlaps(self, block: Net) -> bool:
        return any(int(block[0]) <= int(r.last) and int(r.first) <= int(block[-1]) for r in self.ranges)

    def first(self, block: Block) -> Address | None:
        """The first free address of a block that this range set may have."""
        may_have = self._in_ranges
        gateways = {r.gateway for r in self.ranges}
        for address in block.free():
            if may_have(address) and address not in gateways and not any(address in net for net in self.without):
                return address
        return None

    def walk(self, node: str) -> Iterator[Net]:
        """Every block of the ranges once, from a place that each node has elsewhere."""
        for r in self.ranges:
            pool = next(p for p in self.pools if within(r.subnet, p.net))
            step = 1 << (r.subnet.max_prefixlen - pool.block)
            begin = int(block_net(r.first, pool.block).network_address)
            count = (int(r.last) - begin) // step + 1
            start = _fnv(node) % count
            for i in range(count):
                yield block_net(type(r.first)(begin + (start + i) % count * step), pool.block)

    @property
    def _in_ranges(self) -> Callable[[Address], bool]:
        bounds = [(int(r.first), int(r.last)) for r in self.ranges]
        return lambda address: any(first <= int(address) <= last for first, last in bounds)


def _fnv(text: str) -> int:
    """FNV-1 with 32 bits, as Calico spreads its nodes over a pool."""
    found = 2166136261
    for byte in text.encode():
        found = found * 16777619 % (1 << 32) ^ byte
    return found
