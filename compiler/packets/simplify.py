"""Many small boxes in, few large ones that hold the same packets out: as a person would write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.first_match import first_of
from calico_rkt.compiler.packets.index import Index, positions
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
    Box,
    Space,
    meet,
)
from calico_rkt.compiler.packets.subtract import pieces_left

_ORDER = (SPORT, ICMP_TYPE, ICMP_CODE, FROM, TO, SOURCE, DESTINATION, DPORT, PROTOCOL)
"""What grows first ends widest: a reader cares most about protocol and destination port."""

_INDEXED = 1000
"""An index takes memory with the square of its boxes; so many of the square count as a step, or it has no bounds."""


def readable(space: Space, pieces: Sequence[Box], universe: Sequence[Box], budget: Budget) -> list[Box]:
    """Boxes that hold exactly the pieces' packets of the universe, each once; they may cover what is no packet.

    A full mask in a dimension means that nothing is to be said about it. The smallest come first. Where few large boxes
    would take too long to find, the pieces themselves are the answer: as exact, but many. Never is it none: the packets
    are known, and the budget only says how much may be spent on their words.
    """
    try:
        return sorted(_grown(space, pieces, universe, budget.for_words()), key=_size)
    except UndecidedError:
        ported, icmp = protocol_cells(space, PORT_PROTOCOLS), protocol_cells(space, (ICMP, ICMPV6))
        return sorted((_bare(space, p, ported, icmp) for p in pieces), key=_size)


def _grown(space: Space, pieces: Sequence[Box], universe: Sequence[Box], budget: Budget) -> list[Box]:
    grower = _Grower(space, pieces, universe, budget)
    held = 0  # the pieces, as bits, that lie in one box that was found
    for n in sorted(range(len(pieces)), key=lambda n: _size(pieces[n]), reverse=True):
        if held >> n & 1:
            continue
        while rest := list(pieces_left(pieces[n], range(len(grower.found)), grower.found, budget, set())):
            box = grower.grown(max(rest, key=_size))
            grower.found.append(box)
            held |= grower.held(box)
    return grower.found


class _Grower:
    """Boxes grown until something is in their way: what is of the universe and of no piece, or one another."""

    def __init__(self, space: Space, pieces: Sequence[Box], universe: Sequence[Box], budget: Budget) -> None:
        self.space, self.universe, self.budget = space, universe, budget
        self.pieces = Index(pieces)
        others = [p for u in universe for p, first in first_of(u, self.pieces, budget) if first is None]
        budget.spend(len(others) ** 2 // _INDEXED)
        self.others = Index([p for p in others if not space.nobodys(p)])
        self.found: list[Box] = []
        self.ported = protocol_cells(space, PORT_PROTOCOLS)
        self.icmp = protocol_cells(space, (ICMP, ICMPV6))

    def held(self, box: Box) -> int:
        """The pieces that lie in the box, as bits; those that it meets in part are not among them."""
        near = list(positions(self.pieces.near(box)))
        self.budget.spend(len(near))
        return sum(1 << n for n in near if meet(box, self.pieces.boxes[n]) == self.pieces.boxes[n])

    def grown(self, box: Box) -> Box:
        """The box as wide as the pieces are, where no box was found before."""
        for d in _ORDER:
            wide = (*box[:d], self.space.all[d], *box[d + 1 :])
            bad = real = 0
            for u in self.universe:
                inside = meet(wide, u)
                if inside is not None:
                    real |= inside[d]
                    near = list(positions(self.others.near(inside)))
                    self.budget.spend(1 + len(near) + len(self.found))
                    for n in near:
                        if not self.others.boxes[n][d] & inside[d] & ~bad:
                            continue
                        other = meet(inside, self.others.boxes[n])
                        if other is not None and not self.space.nobodys(other):
                            bad |= other[d]
                    for taken in self.found:
                        if (common := meet(inside, taken)) is not None:
                            bad |= common[d]
            # Cells without any packet are taken only where nothing need be said of the dimension then: else an
            # IPv4 box would take the whole other family of one end, and have to name the addresses of both.
            box = (*box[:d], self.space.all[d] & (real & ~bad if bad else -1), *box[d + 1 :])
        return self._clipped(box)

    def _clipped(self, box: Box) -> Box:
        """Ports speak of protocols that have ports, types of ICMP, in a reader's eyes."""
        protocols = box[PROTOCOL]
        if any(box[d] != self.space.all[d] for d in (SPORT, DPORT)):
            protocols &= self.ported
        if any(box[d] != self.space.all[d] for d in (ICMP_TYPE, ICMP_CODE)):
            protocols &= self.icmp
        return (*box[:PROTOCOL], protocols, *box[PROTOCOL + 1 :])


def _bare(space: Space, box: Box, ported: int, icmp: int) -> Box:
    """A box of the universe that says nothing of fields that its packets do not have."""
    free: tuple[int, ...] = (SPORT, DPORT) if not box[PROTOCOL] & ported else ()
    free += (ICMP_TYPE, ICMP_CODE) if not box[PROTOCOL] & icmp else ()
    return tuple(space.all[d] if d in free else mask for d, mask in enumerate(box))


def protocol_cells(space: Space, protocols: Iterable[int]) -> int:
    """The cells of these protocols; each of them has one of its own in every space."""
    return sum(1 << space.cuts[PROTOCOL].index(p) for p in protocols)


def _size(box: Box) -> int:
    return prod(mask.bit_count() for mask in box)
