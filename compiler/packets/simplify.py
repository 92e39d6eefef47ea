"""Many small boxes in, few large ones that hold the same packets out: as a person would write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS
from calico_rkt.compiler.packets.budget import WORDS, Budget, UndecidedError
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


def readable(space: Space, pieces: Sequence[Box], universe: Sequence[Box], budget: Budget) -> list[Box]:
    """Boxes that hold exactly the pieces' packets of the universe, each once; they may cover what is no packet.

    A full mask in a dimension means that nothing is to be said about it. The smallest come first. Where few large boxes
    would take too long to find, the pieces themselves are the answer: as exact, but many.
    """
    grower = _Grower(space, pieces, universe, Budget(budget.steps // WORDS, whole=budget))
    try:
        for piece in sorted(pieces, key=_size, reverse=True):
            while rest := list(pieces_left(piece, range(len(grower.found)), grower.found, grower.budget, set())):
                grower.found.append(grower.grown(max(rest, key=_size)))
    except UndecidedError:
        if not grower.budget.spent or budget.spent:
            raise
        return sorted((grower.bare(p) for p in pieces), key=_size)
    return sorted(grower.found, key=_size)


class _Grower:
    def __init__(self, space: Space, pieces: Sequence[Box], universe: Sequence[Box], budget: Budget) -> None:
        self.space, self.pieces, self.universe, self.budget = space, pieces, universe, budget
        self.index = Index(pieces)
        self.found: list[Box] = []
        self.ported = protocol_cells(space, PORT_PROTOCOLS)
        self.icmp = protocol_cells(space, (ICMP, ICMPV6))

    def grown(self, box: Box) -> Box:
        """The box as wide as the pieces are, where no box was found before."""
        for d in _ORDER:
            wide = (*box[:d], self.space.all[d], *box[d + 1 :])
            bad = real = 0
            for u in self.universe:
                inside = meet(wide, u)
                if inside is not None:
                    real |= inside[d]
                    near = list(positions(self.index.near(inside)))
                    for rest in pieces_left(inside, near, self.pieces, self.budget, set()):
                        if not self.space.nobodys(rest):
                            bad |= rest[d]
                    self.budget.spend(len(self.found))
                    for taken in self.found:
                        if (common := meet(inside, taken)) is not None:
                            bad |= common[d]
            # Cells without any packet are taken only where nothing need be said of the dimension then: else an
            # IPv4 box would take the whole other family of one end, and have to name the addresses of both.
            box = (*box[:d], self.space.all[d] & (real & ~bad if bad else -1), *box[d + 1 :])
        return self._clipped(box)

    def bare(self, box: Box) -> Box:
        """A box of the universe that says nothing of fields that its packets do not have."""
        free: tuple[int, ...] = (SPORT, DPORT) if not box[PROTOCOL] & self.ported else ()
        free += (ICMP_TYPE, ICMP_CODE) if not box[PROTOCOL] & self.icmp else ()
        return tuple(self.space.all[d] if d in free else mask for d, mask in enumerate(box))

    def _clipped(self, box: Box) -> Box:
        """Ports speak of protocols that have ports, types of ICMP, in a reader's eyes."""
        protocols = box[PROTOCOL]
        if any(box[d] != self.space.all[d] for d in (SPORT, DPORT)):
            protocols &= self.ported
        if any(box[d] != self.space.all[d] for d in (ICMP_TYPE, ICMP_CODE)):
            protocols &= self.icmp
        return (*box[:PROTOCOL], protocols, *box[PROTOCOL + 1 :])


def protocol_cells(space: Space, protocols: Iterable[int]) -> int:
    """The cells of these protocols; each of them has one of its own in every space."""
    return sum(1 << space.cuts[PROTOCOL].index(p) for p in protocols)


def _size(box: Box) -> int:
    return prod(mask.bit_count() for mask in box)
