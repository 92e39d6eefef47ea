"""One readable box of packets in, a flow in plain values and in words out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Network, IPv6Network
from operator import or_

from calico_rkt.compiler.ir import ICMP, ICMPV6, PROTOCOL_NAMES, Net
from calico_rkt.compiler.packets.labels import Labels
from calico_rkt.compiler.packets.ranges import prefixes, ranges
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
_MOST = 8
"""Values of one list that a line shows; the plain values hold all."""
_V4, _V6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
_FAMILIES: dict[tuple[Net, ...], str] = {(_V4,): "IPv4", (_V6,): "IPv6"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses in one of nets (any, where there are none) and in none of not_nets."""

    nets: tuple[Net, ...] = ()
    not_nets: tuple[Net, ...] = ()

    def __str__(self) -> str:
        words = [_FAMILIES.get(self.nets) or _joined(map(str, self.nets))] if self.nets else ["anywhere"]
        words += [f"outside {_joined(map(str, self.not_nets))}"] if self.not_nets else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Flow:
    """A box in plain values. None: nothing is said about it. Ranges hold both ends.

    *_labels are label sets, of each kind of endpoint that is meant one, without the label of a network here.
    """

    protocols: tuple[_Range, ...] | None = None
    ports: tuple[_Range, ...] | None = None
    source_ports: tuple[_Range, ...] | None = None
    icmp_types: tuple[_Range, ...] | None = None
    icmp_codes: tuple[_Range, ...] | None = None
    source: Addresses | None = None
    destination: Addresses | None = None
    source_labels: tuple[tuple[tuple[str, str], ...], ...] | None = None
    destination_labels: tuple[tuple[tuple[str, str], ...], ...] | None = None

    def __str__(self) -> str:
        words = [self._what()]
        words += [f"from port {_list(self.source_ports, 65535)}"] if self.source_ports is not None else []
        for preposition, addresses, labels in (
            ("from", self.source, self.source_labels),
            ("to", self.destination, self.destination_labels),
        ):
            words += [f"{preposition} {addresses}"] if addresses is not None else []
            words += [f"{preposition} endpoints {_labels(labels)}"] if labels is not None else []
        return " ".join(words)

    def _what(self) -> str:
        what = "everything" if self.protocols is None else _protocols(self.protocols)
        if self.ports is not None:
            what += f" port {_list(self.ports, 65535)}"
        if self.icmp_types is not None:
            what += f" type {_list(self.icmp_types, 255)}"
        if self.icmp_codes is not None:
            what += f" code {_list(self.icmp_codes, 255)}"
        return what

    def values(self) -> dict[str, object]:
        """For JSON: nets as text, labels as objects, what is not said left out."""
        out: dict[str, object] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, Addresses):
                out[name] = {k: [str(n) for n in getattr(value, k)] for k in ("nets", "not_nets")}
            elif name.endswith("_labels"):
                out[name] = [dict(pairs) for pairs in value]
            else:
                out[name] = [list(r) for r in value]
        return out


def flow(space: Space, box: Box, universe: Sequence[Box], own: frozenset[str]) -> Flow:
    """The flow of one readable box; own are the ids whose label says no more than the party does."""

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

    def labels(dimension: int) -> tuple[tuple[tuple[str, str], ...], ...] | None:
        if box[dimension] == space.all[dimension]:
            return None
        mask = needed(dimension)
        chosen = [c for i, c in enumerate(space.classes) if mask >> i & 1]
        return tuple(dict.fromkeys(_without(c, own) for c in chosen))

    return Flow(
        partial(PROTOCOL),
        partial(DPORT),
        partial(SPORT),
        partial(ICMP_TYPE),
        partial(ICMP_CODE),
        addresses(SOURCE),
        addresses(DESTINATION),
        labels(FROM),
        labels(TO),
    )


def _addresses(space: Space, dimension: int, needed: int, allowed: int) -> Addresses:
    """The shortest way to say addresses that hold all cells of needed, and none that is not in allowed."""
    v4 = (1 << bisect_left(space.cuts[dimension], V6)) - 1
    everything = space.all[dimension]
    found: list[Addresses] = []
    for base, nets in ((v4, (_V4,)), (everything & ~v4, (_V6,)), (everything, ())):
        if not needed & ~base:
            holes = prefixes(space, dimension, base & ~allowed, base & ~needed)
            found.append(Addresses(nets, tuple(holes)))
    found.append(Addresses(tuple(prefixes(space, dimension, needed, allowed))))
    return min(found, key=lambda a: len(a.nets) + len(a.not_nets) + bool(a.not_nets))


def _without(labels: Labels, own: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in sorted((labels or {}).items()) if k not in own)


def _protocols(found: Sequence[_Range]) -> str:
    members = [p for lo, hi in found for p in range(lo, hi + 1)]
    if len(members) > 128:
        missing = [p for p in range(256) if p not in set(members)]
        return f"all but {_joined(map(_protocol, missing))}" if missing else "everything"
    return _joined(map(_protocol, sorted(members, key=lambda p: (p not in (6, 17), p in (ICMP, ICMPV6), p))))


def _protocol(number: int) -> str:
    return PROTOCOL_NAMES.get(number, f"protocol {number}")


def _list(found: Sequence[_Range], last: int) -> str:
    """Ranges as `80, 8000:8100`, or what is missing where that is shorter."""
    holes = _holes(found, last)
    if found and len(holes) < len(found) and found[0][0] <= 1 and found[-1][1] == last:
        return "any but " + _list(holes, last)
    return _joined((str(lo) if lo == hi else f"{lo}:{hi}" for lo, hi in found), " and ")


def _holes(found: Sequence[_Range], last: int) -> list[_Range]:
    at, out = 1, []
    for lo, hi in found:
        if lo > at:
            out.append((at, lo - 1))
        at = max(at, hi + 1)
    return [*out, (at, last)] if at <= last else out


def _labels(labels: Sequence[tuple[tuple[str, str], ...]]) -> str:
    return _joined(" and ".join(f"with {k} = {v!r}" for k, v in one) or "without such labels" for one in labels)


def _joined(words: Iterable[str], last: str = " and ") -> str:
    found = list(words)
    if len(found) > _MOST:
        found = [*found[:_MOST], f"{len(found) - _MOST} more"]
    return found[0] if len(found) == 1 else ", ".join(found[:-1]) + last + found[-1]
