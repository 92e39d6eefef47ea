"""A range set in, its addresses in any order that a search wants out: one after the other, at random, or all."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Address, Net, Range

_DRAWS = 64
"""Excluded addresses that a random choice may meet before it gives up."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The ranges of one set as one ring of numbered addresses, without gateways and what is excluded."""

    ranges: tuple[Range, ...]
    exclude: tuple[Net, ...]
    taken: frozenset[Address]

    @property
    def size(self) -> int:
        return sum(int(r.last) - int(r.first) + 1 for r in self.ranges)

    def holds(self, address: Address) -> bool:
        """Whether the address may be handed out at all."""
        return self._number(address) is not None and self._usable(address)

    def following(self, address: Address | None) -> Address | None:
        """The next address behind one, round the ring; from anywhere when it is None or not in the ring."""
        number = None if address is None else self._number(address)
        return next(self._walk(self._random() if number is None else number + 1), None)

    def chance(self, count: int) -> Iterator[Address]:
        """Up to count addresses at random."""
        for _ in range(count):
            for _ in range(_DRAWS):
                found = self._at(self._random())
                if self._usable(found):
                    yield found
                    break

    def free(self, used: Collection[str], most: int) -> tuple[Address, ...]:
        """Up to most addresses that are not among the used ones, beginning anywhere."""
        found: list[Address] = []
        for address in self._walk(self._random()):
            if str(address) not in used:
                found.append(address)
                if len(found) >= most:
                    break
        return tuple(found)

    def _walk(self, start: int) -> Iterator[Address]:
        """Each usable address once, from a number on."""
        size, step = self.size, 0
        while step < size:
            address = self._at((start + step) % size)
            net = next((n for n in self.exclude if address in n), None)
            if net is None:
                if self._usable(address):
                    yield address
                step += 1
            else:
                step += self._left_in(net, address)

    def _left_in(self, net: Net, address: Address) -> int:
        """How many numbers from this address on are in an excluded net, in this range."""
        here = next(r for r in self.ranges if _in(r, address))
        return min(int(net.broadcast_address), int(here.last)) - int(address) + 1

    def _usable(self, address: Address) -> bool:
        if address in self.taken or any(r.gateway == address for r in self.ranges):
            return False
        return not any(address in n for n in self.exclude)

    def _random(self) -> int:
        return random.randrange(self.size)  # noqa: S311 - only to be elsewhere than other hosts

    def _at(self, number: int) -> Address:
        for r in self.ranges:
            length = int(r.last) - int(r.first) + 1
            if number < length:
                return r.first + number
            number -= length
        raise IndexError(number)

    def _number(self, address: Address) -> int | None:
        before = 0
        for r in self.ranges:
            if _in(r, address):
                return before + int(address) - int(r.first)
            before += int(r.last) - int(r.first) + 1
        return None


def spans_of(ranges: Sequence[Range], exclude: Sequence[Net], taken: Collection[Address]) -> Spans:
    return Spans(tuple(ranges), tuple(exclude), frozenset(taken))


def _in(r: Range, address: Address) -> bool:
    return r.first.version == address.version and int(r.first) <= int(address) <= int(r.last)
