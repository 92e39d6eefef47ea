"""A box of packets in; the parts of it that there can be, since what was assumed holds and their flow is allowed, out.

What is said of an answer is nothing where nobody may ask. So the packets that opened the flows are led through both
tables, as a box, too; and into the chains of networks for which one word stood (ways.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMP, ICMPV6
from calico_rkt.plugin.attest.boxes import Box
from calico_rkt.plugin.attest.classes import Fewer
from calico_rkt.plugin.attest.oracle import ASKED, way_to
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.probes import HIGH
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.starts import FORWARDED, FROM_HOST, TO_HOST
from calico_rkt.plugin.attest.walk import End
from calico_rkt.plugin.attest.ways import CHAIN, TooManyError, Ways, chains_at

_MOST_PARTS, _MOST_ASKED = 100_000, 400_000
_ECHO = {4: (ICMP, 0), 6: (ICMPV6, 129)}
ABOUT = (6, 17, 132, 47)
"""Protocols of flows that an error may be about."""


class Flows:
    """few: both tables and the host; alike: chains that are one thing in both, as ways.py has them.

    A bound for all that is asked: the longest chains keep their word.
    """

    def __init__(self, few: Fewer, alike: Mapping[str, bool | None]) -> None:
        kernel, reviewed = few.tables
        lengths = sorted((len(reviewed.chains[name].rules), name) for name in alike)
        addresses = len(few.wanted.endpoints) + sum(length for length, _ in lengths)
        fitting = accumulate(length * addresses for length, _ in lengths)
        short = [name for (_, name), asked in zip(lengths, fitting, strict=True) if asked <= _MOST_ASKED]
        self._long = {name: word for name, word in alike.items() if name not in short}
        kernel = replace(kernel, chains={**kernel.chains, **{n: reviewed.chains[n] for n in short}})
        left = [_MOST_PARTS]
        self._wanted = few.wanted
        self._ways = Ways("kernel", kernel, self._long, left), Ways("reviewed", reviewed, self._long, left)

    def possible(self, space: Space, opening: Space, box: Box) -> list[Box]:
        """opening: the packets that open flows. Where it takes too much, the whole box: it may hold more."""
        try:
            held = self._as_assumed(space, box)
            return list(dict.fromkeys(part for one in held for part in self._opened(space.kind, opening, one)))
        except TooManyError:
            return [box]

    def _as_assumed(self, space: Space, box: Box) -> list[Box]:
        """The parts in which the networks' chains say what was assumed of them."""
        found, ways = [box], self._ways[1]
        ways.space = space
        for words, held in sorted(box.assumed):
            name = words.removeprefix(CHAIN)
            if name != words and name not in self._long:
                found = [
                    replace(part, assumed=box.assumed)
                    for one in found
                    for verdict, part in ways.called(name, one, "forward")
                    if (verdict == "back") is held
                ]
        return found

    def _opened(self, kind: Kind, opening: Space, box: Box) -> Iterator[Box]:
        if kind is Kind.LATER:
            for hooks, part in _by_way(opening, Box(box.masks)):
                for passed in self._passed(opening, hooks, part):
                    yield replace(box, masks=passed.masks)
        elif kind is Kind.REPLY:
            yield from self._answered(opening, box)
        elif kind is Kind.ERROR:
            yield from self._erred(opening, box)
        else:
            yield box

    def _answered(self, opening: Space, box: Box) -> Iterator[Box]:
        protocol, kind = _ECHO[opening.version]
        own = opening.mask("protocol", lambda p: p == protocol)
        echo = opening.mask("icmp", lambda i: i.type == kind)
        unknown = box.within(protocol=own, icmp=~echo)
        if all(unknown.masks):
            yield unknown  # what asked for these is not known
        for part, icmp in (
            (box.within(protocol=~own), None),
            (box.within(protocol=own, icmp=echo), opening.those("icmp", (ASKED[protocol, kind],))),
        ):
            if not all(part.masks):
                continue
            masks = self._turned(opening, part.masks[1], part.masks[0])
            begun = Box((*masks, part.masks[2], part.masks[4], part.masks[3], icmp or 1, 1, 1))
            for hooks, one in _by_way(opening, begun):
                for passed in self._passed(opening, hooks, one):
                    yield part.within(
                        source=opening.those("source", _addresses(opening, passed.masks[1])),
                        destination=opening.those("destination", _addresses(opening, passed.masks[0])),
                        protocol=passed.masks[2],
                        sport=passed.masks[4],
                        dport=passed.masks[3],
                    )

    def _erred(self, opening: Space, box: Box) -> Iterator[Box]:
        """Of an error any flow between its two ends is asked for."""
        whole = opening.all
        first, last = (opening.among("source", box.masks[n]) for n in (6, 7))
        begun = Box((self._ends(opening, first), self._ends(opening, last), *whole[2:5], 1, 1, 1)).within(
            protocol=opening.those("protocol", ABOUT), sport=opening.those("sport", (HIGH,))
        )
        for hooks, one in _by_way(opening, begun):
            for passed in self._passed(opening, hooks, one):
                yield box.within(
                    first=opening.those("first", _addresses(opening, passed.masks[0])),
                    last=opening.those("last", _addresses(opening, passed.masks[1])),
                )

    def _turned(self, opening: Space, *ends: int) -> Iterator[int]:
        """Senders of receivers, and receivers of senders: each by where its address is."""
        for mask in ends:
            yield self._ends(opening, _addresses(opening, mask))

    def _ends(self, opening: Space, addresses: Iterable[Address]) -> int:
        return opening.ends([(way_to(self._wanted, a), a) for a in addresses])

    def _passed(self, opening: Space, hooks: Collection[str], box: Box) -> list[Box]:
        """The parts that neither table drops for sure."""
        found = [box]
        for ways in self._ways:
            ways.space = opening
            for chain in chains_at(ways.table, hooks, Kind.NEW):
                found = [part for one in found for end, part in ways.through(chain, one) if end is not End.DROP]
        return list(dict.fromkeys(Box(part.masks) for part in found))


def _addresses(space: Space, mask: int) -> set[Address]:
    return {address for _, address in space.pairs(mask)}


def _by_way(space: Space, box: Box) -> Iterator[tuple[Collection[str], Box]]:
    """The parts that come from the host, that are for it, and that are forwarded, with the hooks that they pass."""
    host = space.mask("iif", lambda n: not n)
    none = space.mask("oif", lambda n: not n)
    for hooks, part in (
        (FROM_HOST, box.within(iif=host)),
        (TO_HOST, box.within(iif=~host, oif=none)),
        (FORWARDED, box.within(iif=~host, oif=~none)),
    ):
        if all(part.masks):
            yield hooks, part
