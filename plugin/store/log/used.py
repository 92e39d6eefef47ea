"""Addresses in use in, the intervals that they make out: "the next free one from here" is one look, however full."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from calico_rkt.compiler.conf.netconf import Address


class Used:
    """The addresses in use of both families; neighbours are one interval."""

    def __init__(self, addresses: Iterable[tuple[int, int]] = ()) -> None:
        """addresses: pairs of an IP version and a number."""
        self._firsts: dict[int, list[int]] = {4: [], 6: []}
        self._lasts: dict[int, list[int]] = {4: [], 6: []}
        for version, number in sorted(addresses):
            firsts, lasts = self._firsts[version], self._lasts[version]
            if lasts and number <= lasts[-1] + 1:
                lasts[-1] = number
            else:
                firsts.append(number)
                lasts.append(number)

    def take(self, version: int, number: int) -> None:
        """Join a free address to the intervals beside it; one that is in use stays so."""
        firsts, lasts = self._firsts[version], self._lasts[version]
        at = bisect_right(firsts, number)
        if at and lasts[at - 1] >= number:
            return
        below, above = at > 0 and lasts[at - 1] == number - 1, at < len(firsts) and firsts[at] == number + 1
        if below and above:
            lasts[at - 1] = lasts.pop(at)
            del firsts[at]
        elif below:
            lasts[at - 1] = number
        elif above:
            firsts[at] = number
        else:
            firsts.insert(at, number)
            lasts.insert(at, number)

    def free(self, version: int, number: int) -> None:
        """Cut an address out of its interval."""
        firsts, lasts = self._firsts[version], self._lasts[version]
        at = bisect_right(firsts, number) - 1
        if at < 0 or lasts[at] < number:
            return
        first, last = firsts[at], lasts[at]
        left, right = [(first, number - 1)] * (first < number), [(number + 1, last)] * (number < last)
        firsts[at : at + 1] = [a for a, _ in (*left, *right)]
        lasts[at : at + 1] = [b for _, b in (*left, *right)]

    def until(self, address: Address) -> Address | None:
        """The last address of the interval that this one is in; None where it is free."""
        firsts, lasts = self._firsts[address.version], self._lasts[address.version]
        at = bisect_right(firsts, int(address)) - 1
        return type(address)(lasts[at]) if at >= 0 and lasts[at] >= int(address) else None

    def count(self, first: Address, last: Address) -> int:
        """How many from first to last are in use."""
        firsts, lasts = self._firsts[first.version], self._lasts[first.version]
        low, high = int(first), int(last)
        of = range(bisect_left(lasts, low), bisect_right(firsts, high))
        return sum(min(lasts[i], high) - max(firsts[i], low) + 1 for i in of)

    def intervals(self) -> list[tuple[int, int, int]]:
        """Version, first and last of each, sorted."""
        return [(v, a, b) for v in (4, 6) for a, b in zip(self._firsts[v], self._lasts[v], strict=True)]
