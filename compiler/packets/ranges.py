"""A set of cells in, the values that it stands for out: ranges, prefixes, and one good example."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from calico_rkt.compiler.evaluate import End, Packet
from calico_rkt.compiler.ir import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, Icmp, Net
from calico_rkt.compiler.packets.index import positions
from calico_rkt.compiler.packets.space import (
    DESTINATION,
    DPORT,
    ENDS,
    FROM,
    ICMP_CODE,
    ICMP_TYPE,
    PROTOCOL,
    SOURCE,
    SPORT,
    TO,
    V6,
    Box,
    Space,
)

_LIKED = {
    PROTOCOL: (TCP, 17, ICMP, ICMPV6),
    SPORT: (49152, 1024),
    DPORT: (80, 443, 8080),
    ICMP_TYPE: (8, 128),
    **dict.fromkeys((SOURCE, DESTINATION), (int(IPv4Address("203.0.113.9")), V6 + int(IPv6Address("2001:db8::9")))),
}
"""Values that a reader knows; RFC 5737 and RFC 3849 keep the addresses for examples."""


def ranges(space: Space, dimension: int, mask: int) -> Iterator[tuple[int, int]]:
    """First and last value of each run of cells, in order; IPv4 and IPv6 never share one."""
    cuts, end = space.cuts[dimension], ENDS[dimension]
    at: tuple[int, int] | None = None
    for cell in positions(mask):
        lo = cuts[cell]
        hi = (cuts[cell + 1] if cell + 1 < len(cuts) else end) - 1
        if at is not None and at[1] + 1 == lo and not (dimension in (SOURCE, DESTINATION) and lo == V6):
            at = (at[0], hi)
        else:
            if at is not None:
                yield at
            at = (lo, hi)
    if at is not None:
        yield at


def prefixes(space: Space, dimension: int, needed: int, allowed: int) -> list[Net]:
    """Few CIDRs that hold the addresses of all cells of needed, and of none that is not in allowed."""
    want, may = list(ranges(space, dimension, needed)), list(ranges(space, dimension, allowed | needed))
    return [*_cover(0, 32, 0, want, may), *_cover(0, 128, V6, want, may)]


def _cover(base: int, bits: int, offset: int, want: list[tuple[int, int]], may: list[tuple[int, int]]) -> list[Net]:
    """The CIDRs in the one of base and bits free bits: the widest inside may, no wider than what they have to hold."""
    first, last = offset + base, offset + base + (1 << bits) - 1
    inside = [(max(lo, first), min(hi, last)) for lo, hi in want if lo <= last and first <= hi]
    if not inside:
        return []
    if any(lo <= first and last <= hi for lo, hi in may):
        low, high = inside[0][0] - offset, inside[-1][1] - offset
        free = (low ^ high).bit_length()
        low = low >> free << free
        return [IPv4Network((low, 32 - free)) if offset < V6 else IPv6Network((low, 128 - free))]
    half = 1 << bits - 1
    return [*_cover(base, bits - 1, offset, inside, may), *_cover(base + half, bits - 1, offset, inside, may)]


def example(space: Space, box: Box) -> Packet:
    """A packet of a box that is not empty and lies in one box of the universe, with values that a reader knows."""
    protocol = _value(space, box, PROTOCOL)
    icmp = None
    if protocol in (ICMP, ICMPV6):
        icmp = Icmp(_value(space, box, ICMP_TYPE), _value(space, box, ICMP_CODE))
    ends = []
    for address, labels, port in ((SOURCE, FROM, SPORT), (DESTINATION, TO, DPORT)):
        value = _value(space, box, address)
        ends.append(
            End(
                ip_address(IPv4Address(value) if value < V6 else IPv6Address(value - V6)),
                space.classes[next(positions(box[labels]))],
                _value(space, box, port) if protocol in PORT_PROTOCOLS else 0,
            )
        )
    return Packet(ends[0], ends[1], protocol, icmp)


def _value(space: Space, box: Box, dimension: int) -> int:
    cuts, mask = space.cuts[dimension], box[dimension]
    for liked in _LIKED.get(dimension, ()):
        if mask >> (bisect_right(cuts, liked) - 1) & 1:
            return liked
    lowest = cuts[next(positions(mask))]
    if lowest == 0 and dimension in (SPORT, DPORT) and mask & (mask - 1):
        return cuts[next(positions(mask & (mask - 1)))]
    if dimension in (SOURCE, DESTINATION) and mask >> (bisect_right(cuts, lowest + 1) - 1) & 1:
        return lowest + 1  # the first address of a prefix is seldom a machine's
    return lowest
