"""A resolved rule in, its outline out: bounds in a few dimensions that tell cheaply which rules can't meet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from calico_rkt.compiler.ir.model import Match, Side
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.packets.space import V6, net_range

Outline = tuple[int, int, int, int, int, int, int, int]
"""First and last source, destination, protocol, destination port; both included, IPv6 above IPv4."""

_LAST = V6 + (1 << 128) - 1


def outline(match: Match) -> Outline:
    """Bounds that hold every packet of the match; negations don't narrow them."""
    protocol = (0, 255) if match.protocol is None else (match.protocol, match.protocol)
    given = ports(match.destination.ports)
    port = (min(p.lo for p in given), max(p.hi for p in given)) if given else (0, 65535)
    family = {4: (0, V6 - 1), 6: (V6, _LAST)}.get(match.ip_version or 0, (0, _LAST))
    return (*_addresses(match.source, family), *_addresses(match.destination, family), *protocol, *port)


class Ranges:
    """Many ranges in, whether any of them meets another one out, without a look at each."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        in_order = sorted(ranges)
        self._firsts = [first for first, _ in in_order]
        self._lasts = list(accumulate((last for _, last in in_order), max))

    def meet(self, first: int, last: int) -> bool:
        """Whether a range of them has a value from first to last."""
        begun = bisect_right(self._firsts, last)
        return begun > 0 and self._lasts[begun - 1] >= first


def apart(a: Outline, b: Outline) -> bool:
    """Whether no packet can be in both."""
    return (
        a[1] < b[0]
        or b[1] < a[0]
        or a[3] < b[2]
        or b[3] < a[2]
        or a[5] < b[4]
        or b[5] < a[4]
        or a[7] < b[6]
        or b[7] < a[6]
    )


def _addresses(side: Side, family: tuple[int, int]) -> tuple[int, int]:
    if not side.nets:
        return family
    ranges = [net_range(n) for n in nets(side.nets)]
    return max(family[0], min(lo for lo, _ in ranges)), min(family[1], max(end for _, end in ranges) - 1)
