"""A set of cells in, the values that it stands for out: ranges, prefixes, and one good example."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice
from typing import Protocol

from calico_rkt.compiler.ir.evaluate import End, Packet
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, SCTP, TCP, UDP, Icmp, Net
from calico_rkt.compiler.packets.index import positions, runs
from calico_rkt.compiler.packets.labels import Labels
from calico_rkt.compiler.packets.opening import OPENING
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
)


class Cells(Protocol):
    """What a Space says of the values behind a box."""

    @property
    def cuts(self) -> tuple[list[int], ...]: ...
    @property
    def classes(self) -> tuple[Labels, ...]: ...


_LIKED_ADDRESSES = (
    *(int(IPv4Address(a)) for a in ("203.0.113.9", "198.51.100.9", "192.0.2.9")),
    *(V6 + int(IPv6Address(a)) for a in ("2001:db8::9", "2001:db8::19")),
)
"""Values that a reader knows; RFC 5737 and RFC 3849 keep the addresses for examples."""
_FIRST_LIKED = (_LIKED_ADDRESSES[0], _LIKED_ADDRESSES[3])
_NO_HOSTS = tuple(
    (int(n[0]) + offset, int(n[-1]) + offset)
    for offset, nets in (
        (0, map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))),
        (V6, map(IPv6Network, ("::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"))),
    )
    for n in nets
)
"""Addresses that nobody opens a flow with, but where there is no other."""


def ranges(space: Cells, dimension: int, mask: int) -> Iterator[tuple[int, int]]:
    """First and last value of each run of cells, in order; IPv4 and IPv6 never share one."""
    cuts = space.cuts[dimension]
    v6 = bisect_left(cuts, V6) if dimension in (SOURCE, DESTINATION) else len(cuts)
    for first, last in runs(mask):
        split = first < v6 <= last
        if split:
            yield cuts[first], cuts[v6] - 1
        yield cuts[v6 if split else first], (cuts[last + 1] if last + 1 < len(cuts) else ENDS[dimension]) - 1


Cidr = tuple[int, int]
"""A first address, IPv6 above IPv4, and how many bits behind it are free."""


def prefixes(space: Cells, dimension: int, needed: int, allowed: int, most: int) -> list[Cidr]:
    """Few CIDRs that hold the addresses of all cells of needed, and of none that is not in allowed.

    Where there are more than most, these are some of them, and still more than most.
    """
    want, may = list(ranges(space, dimension, needed)), list(ranges(space, dimension, allowed | needed))
    starts, v6 = [lo for lo, _ in may], bisect_left(want, (V6, V6))
    out: list[Cidr] = []
    _cover(want[:v6], 0, may, starts, out, most)
    _cover(want[v6:], V6, may, starts, out, most)
    return out


def net_of(cidr: Cidr) -> Net:
    """The same as a network."""
    first, free = cidr
    return IPv4Network((first, 32 - free)) if first < V6 else IPv6Network((first - V6, 128 - free))


def _cover(
    want: list[tuple[int, int]], offset: int, may: list[tuple[int, int]], starts: list[int], out: list[Cidr], most: int
) -> None:
    """Put the CIDRs for want, ranges of one family, into out: the widest inside may, no wider than what they hold.

    offset is where the family begins, starts are the beginnings of may's ranges; all are in order and apart. It ends
    where out has more than most.
    """
    if not want or len(out) > most:
        return
    first, last = want[0][0] - offset, want[-1][1] - offset
    free = (first ^ last).bit_length()
    first = (first >> free << free) + offset
    at = bisect_right(starts, first) - 1
    if at >= 0 and first + (1 << free) - 1 <= may[at][1]:
        out.append((first, free))
        return
    middle = first + (1 << free - 1)
    n = bisect_left(want, (middle, middle))
    low, high = want[:n], want[n:]
    if low and low[-1][1] >= middle:
        lo, hi = low[-1]
        low[-1] = lo, middle - 1
        high.insert(0, (middle, hi))
    _cover(low, offset, may, starts, out, most)
    _cover(high, offset, may, starts, out, most)


def example(space: Cells, box: Box) -> Packet:
    """A packet of a box that lies in one box of the universe, with values that a reader knows.

    Its ends are two different addresses, but where space.nobodys(box): then there is no such packet.
    """
    v6 = box[SOURCE] >> bisect_left(space.cuts[SOURCE], V6) != 0
    own, foreign = (ICMPV6, ICMP) if v6 else (ICMP, ICMPV6)
    protocol = _value(space, PROTOCOL, box[PROTOCOL], (TCP, UDP, own, SCTP, foreign, 47))
    icmp = None
    if protocol in OPENING:
        known = sorted(OPENING[protocol], key=lambda t: (t not in (8, 128), t))
        icmp = Icmp(_value(space, ICMP_TYPE, box[ICMP_TYPE], known), _value(space, ICMP_CODE, box[ICMP_CODE], ()))
    ported = protocol in PORT_PROTOCOLS
    ends = [
        End(
            ip_address(IPv4Address(value) if value < V6 else IPv6Address(value - V6)),
            space.classes[next(positions(box[labels]))],
            _value(space, port, box[port], liked) if ported else 0,
        )
        for value, labels, port, liked in zip(
            _two_addresses(space, box), (FROM, TO), (SPORT, DPORT), ((49152, 1024), (80, 443, 8080)), strict=True
        )
    ]
    return Packet(ends[0], ends[1], protocol, icmp)


def _two_addresses(space: Cells, box: Box) -> tuple[int, int]:
    """The first two that differ, those first that a reader would choose."""
    sources, destinations = (list(islice(_addresses(space, d, box[d]), 2)) for d in (SOURCE, DESTINATION))
    pairs = [(a, b) for a in sources for b in destinations]
    return next((p for p in pairs if p[0] != p[1]), pairs[0])


def _addresses(space: Cells, dimension: int, mask: int) -> Iterator[int]:
    """Addresses of the cells, each once; the first of a prefix is seldom a machine's, so it comes last."""
    cuts = space.cuts[dimension]
    liked = [a for a in _LIKED_ADDRESSES if mask >> (bisect_right(cuts, a) - 1) & 1]
    if not any(a in _FIRST_LIKED for a in liked):
        liked = []  # the others are for the second end of a pair
    yield from liked
    late: list[int] = []
    for lo, hi in ranges(space, dimension, mask):
        start = lo
        while start <= hi and (bad := next((last for first, last in _NO_HOSTS if first <= start <= last), None)):
            start = bad + 1
        late += range(lo, min(hi, lo + 3, start - 1) + 1)
        for value in range(start, min(hi, start + 4) + 1):
            if value in liked:
                continue
            if value & 0xFF == 0:
                late.append(value)
            else:
                yield value
    yield from (value for value in late if value not in liked)


def _value(space: Cells, dimension: int, mask: int, liked: Iterable[int]) -> int:
    """One that is liked, else the lowest but 0, which is no port and no protocol that people know."""
    cuts = space.cuts[dimension]
    for value in liked:
        if mask >> (bisect_right(cuts, value) - 1) & 1:
            return value
    lo, hi = next(ranges(space, dimension, mask))
    if lo > 0 or dimension in (ICMP_TYPE, ICMP_CODE):
        return lo
    if hi > 0:
        return 1
    return next((lo for lo, _ in islice(ranges(space, dimension, mask), 1, None)), 0)
