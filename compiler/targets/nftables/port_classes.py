"""Rules about some ports of one protocol in; classes of these ports, each with the rules that are about them, out.

What a packet's port says first leaves few rules to look at: nets that hold for any port need not be cut out of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.ir.resolved import ports
from calico_rkt.compiler.packets.index import positions

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PortClass:
    """Ports, first and last of each range, and the positions of all rules that are about one of them."""

    ports: tuple[Range, ...]
    rules: tuple[int, ...]


def port_classes(rules: Sequence[Rule], most: int) -> tuple[PortClass, ...]:
    """The rules' destination ports, each in one class; a class has so many rules at most, if one port has not more.

    >>> from calico_rkt.compiler.ir.model import Action, Match, PortRange, Side
    >>> about = [[(1, 9)], [(5, 5), (20, 20)], [(7, 7)]]
    >>> sides = [Side(ports=tuple(PortRange(*p) for p in found)) for found in about]
    >>> for c in port_classes([Rule(Action.ALLOW, Match(protocol=6, destination=side)) for side in sides], 2):
    ...     print(c.ports, c.rules)
    ((1, 4), (6, 6), (8, 9), (5, 5)) (0, 1)
    ((7, 7),) (0, 2)
    ((20, 20),) (1,)
    """
    ranges: dict[int, list[Range]] = {}
    for lo, hi, about in _cut(rules):
        ranges.setdefault(about, []).append((lo, hi))
    found: list[tuple[list[Range], int]] = []
    # Rules that say the same and stand near each other in the list come into one class: what says the same as they do
    # need not be asked before them, and what stands behind them isn't either.
    allowing = sum(1 << n for n, rule in enumerate(rules) if rule.action is Action.ALLOW)
    kinds = {about: (bool(about & allowing), bool(about & ~allowing), next(positions(about))) for about in ranges}
    for about in sorted(ranges, key=kinds.__getitem__):
        if found and (found[-1][1] | about).bit_count() <= most:
            found[-1] = found[-1][0] + ranges[about], found[-1][1] | about
        else:
            found.append((ranges[about], about))
    return tuple(PortClass(tuple(held), tuple(positions(about))) for held, about in found)


def _cut(rules: Sequence[Rule]) -> Iterator[tuple[int, int, int]]:
    """Ranges of ports that no rule cuts: first, last, and a bit for each rule that is about them."""
    changes: dict[int, list[tuple[int, int]]] = {}
    for n, rule in enumerate(rules):
        for found in ports(rule.match.destination.ports):
            changes.setdefault(found.lo, []).append((n, 1))
            changes.setdefault(found.hi + 1, []).append((n, -1))
    depth = [0] * len(rules)
    about, start = 0, 0
    for at in sorted(changes):
        if about:
            yield start, at - 1, about
        for n, step in changes[at]:
            depth[n] += step
            about = about | 1 << n if depth[n] else about & ~(1 << n)
        start = at
