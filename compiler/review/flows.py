"""One readable box of packets in, a flow in plain values and in words out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Network, IPv6Network
from operator import or_

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PROTOCOL_NAMES, Net
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.packets.choice import choice
from calico_rkt.compiler.packets.ranges import Cidr, net_of, prefixes, ranges
from calico_rkt.compiler.packets.space import (
    DESTINATION,
    DPORT,
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
    meet,
)

_Range = tuple[int, int]
_Way = tuple[tuple[Net, ...], list[Cidr], list[Cidr]]
"""Addresses as a family, or as nets, and the holes in it."""
_FEW = 16
"""Nets of the ways that are tried first."""
_MOST = 8
"""Values of one list that a line shows; the plain values hold all."""
LAST_PORT, LAST_ICMP = 65535, 255
_V4, _V6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
FAMILIES: dict[tuple[Net, ...], str] = {(_V4,): "IPv4", (_V6,): "IPv6"}
"""Nets that are all addresses of a family, and what people call it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses in one of nets (any, where there are none) and in none of not_nets."""

    nets: tuple[Net, ...] = ()
    not_nets: tuple[Net, ...] = ()

    def __str__(self) -> str:
        words = [FAMILIES.get(self.nets) or _joined(map(str, self.nets))] if self.nets else ["anywhere"]
        words += [f"outside {_joined(map(str, self.not_nets))}"] if self.not_nets else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Flow:
    """A box in plain values. None: nothing is said about it. Ranges hold both ends.

    It is about packets between the parties that are named beside it; docs/commands.md has the grammar of its words.
    """

    protocols: tuple[_Range, ...] | None = None
    ports: tuple[_Range, ...] | None = None
    source_ports: tuple[_Range, ...] | None = None
    icmp_types: tuple[_Range, ...] | None = None
    icmp_codes: tuple[_Range, ...] | None = None
    source: Addresses | None = None
    destination: Addresses | None = None
    source_selector: Selector | None = None
    destination_selector: Selector | None = None

    def __str__(self) -> str:
        words = [self._what()]
        words += [f"from port {_list(self.source_ports, LAST_PORT)}"] if self.source_ports is not None else []
        for preposition, addresses, selector in (
            ("from", self.source, self.source_selector),
            ("to", self.destination, self.destination_selector),
        ):
            words += [f"{preposition} {addresses}"] if addresses is not None else []
            words += [f"{preposition} endpoints with {selector}"] if selector is not None else []
        return " ".join(words)

    def _what(self) -> str:
        what = "everything" if self.protocols is None else _protocols(self.protocols)
        for name, found, last in (
            ("port", self.ports, LAST_PORT),
            ("type", self.icmp_types, LAST_ICMP),
            ("code", self.icmp_codes, LAST_ICMP),
        ):
            what += f" {name} {_list(found, last)}" if found is not None else ""
        return what

    def values(self) -> dict[str, object]:
        """For JSON: all of it, nets and selectors as text, what is not said left out."""
        out: dict[str, object] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, Addresses):
                out[name] = {k: [str(n) for n in getattr(value, k)] for k in ("nets", "not_nets")}
            elif isinstance(value, Selector):
                out[name] = str(value)
            else:
                out[name] = [list(r) for r in value]
        return out


def flow(space: Space, box: Box, universe: Sequence[Box]) -> Flow:
    """The flow of one readable box, of packets of the universe: at each end all are endpoints, or none is one."""

    def partial(dimension: int) -> tuple[_Range, ...] | None:
        mask = box[dimension]
        return None if mask == space.all[dimension] else tuple(ranges(space, dimension, mask))

    real = [m for u in universe if (m := meet(box, u)) is not None]

    def needed(dimension: int) -> int:
        """The cells of packets that there are; the box may hold more, which is no packet's."""
        return reduce(or_, (m[dimension] for m in real), 0)

    def addresses(dimension: int) -> Addresses | None:
        # Addresses that nobody here can have may be said or not, whichever is shorter.
        mask = box[dimension] | space.all[dimension] & ~reduce(or_, (u[dimension] for u in universe))
        return None if mask == space.all[dimension] else _addresses(space, dimension, needed(dimension), mask)

    def selector(dimension: int) -> Selector | None:
        possible = reduce(or_, (u[dimension] for u in universe), 0)
        mask = box[dimension] & possible
        return None if mask == possible else choice(space, mask, possible)

    return Flow(
        partial(PROTOCOL),
        partial(DPORT),
        partial(SPORT),
        partial(ICMP_TYPE),
        partial(ICMP_CODE),
        addresses(SOURCE),
        addresses(DESTINATION),
        selector(FROM),
        selector(TO),
    )


def _addresses(space: Space, dimension: int, needed: int, allowed: int) -> Addresses:
    """The shortest way to say addresses that hold all cells of needed, and none that is not in allowed.

    Ways of up to so many nets are tried, then ways of more: most that could be said in thousands are said in few.
    """
    most = _FEW
    while (found := _shortest(space, dimension, needed, allowed, most)) is None:
        most *= _FEW
    return found


def _shortest(space: Space, dimension: int, needed: int, allowed: int, most: int) -> Addresses | None:
    """The same; None where it has more than so many nets."""
    v4 = (1 << bisect_left(space.cuts[dimension], V6)) - 1
    everything = space.all[dimension]
    found: list[_Way] = []
    for base, nets in ((v4, (_V4,)), (everything & ~v4, (_V6,)), (everything, ())):
        if not needed & ~base:
            found.append((nets, [], prefixes(space, dimension, base & ~allowed, base & ~needed, most)))
    found.append(((), prefixes(space, dimension, needed, allowed, most), []))
    family, cidrs, holes = shortest = min(found, key=_length)
    if _length(shortest) > most:
        return None
    return Addresses((*family, *map(net_of, cidrs)), tuple(map(net_of, holes)))


def _length(way: _Way) -> int:
    family, cidrs, holes = way
    return len(family) + len(cidrs) + len(holes) + bool(holes)


def _protocols(found: Sequence[_Range]) -> str:
    members = {p for lo, hi in found for p in range(lo, hi + 1)}
    if len(members) > 128:
        missing = [p for p in range(256) if p not in members]
        return f"all but {_joined(map(_protocol, missing))}" if missing else "everything"
    return _joined(map(_protocol, sorted(members, key=lambda p: (p not in (6, 17), p in (ICMP, ICMPV6), p))))


def _protocol(number: int) -> str:
    return PROTOCOL_NAMES.get(number, f"protocol {number}")


def _list(found: Sequence[_Range], last: int) -> str:
    """Ranges as `80 and 8000:8100`, or what is missing of 0 to last where that is shorter."""
    holes = _holes(found, last)
    open_ended = len(found) > 1 and found[-1][1] == last
    if holes and len(holes) < len(found) + open_ended:
        return "any but " + _joined(map(_range, holes))
    return _joined(map(_range, found))


def _range(found: _Range) -> str:
    lo, hi = found
    return str(lo) if lo == hi else f"{lo}:{hi}"


def _holes(found: Sequence[_Range], last: int) -> list[_Range]:
    """What is in none of the ranges, which are sorted and apart."""
    at, out = 0, []
    for lo, hi in found:
        if lo > at:
            out.append((at, lo - 1))
        at = hi + 1
    return [*out, (at, last)] if at <= last else out


def _joined(words: Iterable[str]) -> str:
    found = list(words)
    if len(found) > _MOST + 1:
        found = [*found[:_MOST], f"{len(found) - _MOST} more"]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
