"""Elements and maps that say one thing in, as few as say the same out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from calico_rkt.compiler.packets.space import DESTINATION, SOURCE
from calico_rkt.compiler.targets.nftables.parts import Element, Map
from calico_rkt.compiler.targets.nftables.peers import Lookup

MANY = 100
"""Up to so many elements people look for their rule's own; of more, neighbours are joined."""


def joined(elements: Iterable[Element]) -> list[Element]:
    """Elements of one fate that lie side by side in the first dimension as one: the kernel has fewer to load."""
    out: list[Element] = []
    for one in sorted(elements, key=lambda e: (e.values[1:], e.values)):
        last = out[-1] if out else one
        (lo, behind), (start, hi) = last.values[0], one.values[0]
        if (last.action, last.values[1:], behind + 1) == (one.action, one.values[1:], start):
            out[-1] = Element(((lo, hi), *one.values[1:]), (*last.rules, *one.rules))
        else:
            out.append(one)
    return out


def both_families(maps: Iterable[Map]) -> list[Map]:
    """Two maps that say the same of IPv4 and IPv6, and look at no address, as one of both."""
    out: dict[tuple[object, ...], Map] = {}
    for one in maps:
        plain = one.source == one.destination == Lookup() and not set(one.dimensions) & {SOURCE, DESTINATION}
        what = (one.protocol, one.dimensions, tuple((e.values, e.action) for e in one.elements))
        key: tuple[object, ...] = what if plain else (one.version, one.source, one.destination, *what)
        there = out.setdefault(key, one)
        if there.version != one.version:  # else it says what was said before it
            out[key] = replace(one, version=None)
    return list(out.values())
