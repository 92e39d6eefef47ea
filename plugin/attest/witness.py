"""A box in which the two tables end apart in; whether a packet of it fares differently, and that packet, out.

Packets are made one by one, the plainest first, and led through both tables and past what was reviewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, product

from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import ICMP, ICMPV6
from calico_rkt.plugin.attest.boxes import FIELDS, Box
from calico_rkt.plugin.attest.flows import ABOUT, Flows
from calico_rkt.plugin.attest.oracle import Wanted, opening_of, opening_packet, right, way_to
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.ruleset import Table
from calico_rkt.plugin.attest.walk import End, fates
from calico_rkt.plugin.attest.ways import CHAIN

_MOST_TRIED, _MOST_OF_ONE, _MOST_UNSURE = 4_000, 4_000, 20
_FEW = 50
"""Packets of a box that are made before it is asked which of them there can be."""
_TOO_MANY = "too many packets would have to be tried"
_GIVEN_BACK = "only packets of flows with an address that was given back would fare differently, if one is left"


@dataclass
class Decided:
    """packet: one that fares differently, with what the kernel makes of it. open: why more is not known, else empty."""

    packet: Packet | None = None
    kernel: End = End.UNKNOWN
    open: list[str] = field(default_factory=list)
    tried: int = 0


class Witnesses:
    """tables: the kernel's and the reviewed one, whole; wanted: with all endpoints. found: what it came to."""

    def __init__(self, tables: tuple[Table, Table], wanted: Wanted, flows: Flows) -> None:
        self.tables, self.wanted, self.flows = tables, wanted, flows
        self.found = Decided()
        self._here = frozenset((*wanted.by_ifname, wanted.uplink, *wanted.others, "lo"))

    def has(self, space: Space, opening: Space, apart: Box, to_itself: bool) -> bool:
        """Whether a packet was found. opening: the packets that open flows. to_itself: those to their own address."""
        inside, other = self._by_interfaces(space, apart)
        if inside is not None and self._in(space, opening, inside, to_itself):
            return True
        if any(self._is_possible(space, opening, box, to_itself) for box in other):
            self._open("only packets of an interface that this host has not would fare differently")
        return False

    def _in(self, space: Space, opening: Space, box: Box, to_itself: bool) -> bool:
        some = list(islice(packets(space, box, to_itself), _FEW + 1))
        found = self._tried(space, box, sorted(some[:_FEW], key=self._strangeness))
        if found is not None or len(some) <= _FEW:
            return found is True
        return any(
            self._tried(space, box, packets(space, part, to_itself)) is True
            for part in self.flows.possible(space, opening, box)
        )

    def _strangeness(self, packet: Packet) -> int:
        """Least where it can be sent and looked at: a route of this host leads it so, and its flow has two ends."""
        astray = packet.oif != way_to(self.wanted, packet.destination)
        return 2 * astray + any(a.is_unspecified for a in packet.flow or ())

    def _tried(self, space: Space, box: Box, candidates: Iterable[Packet]) -> bool | None:
        """True: one fares differently; None: all were tried, and none does; False: that is not known."""
        unsure, given_back = 0, False
        for tried, packet in enumerate(candidates, 1):
            if tried > _MOST_OF_ONE or self.found.tried > _MOST_TRIED:
                self._open(_TOO_MANY)
                return False
            if not self._may_be(box, packet):
                continue
            differs = self._differs(space, packet)
            if differs and any(map(self.wanted.is_nobody_s, packet.flow or ())):
                given_back = True  # such a flow is opened no more: what its address's last holder had goes on
                continue
            if differs:
                self.found.packet = packet
                self.found.kernel = fates(self.tables[0], packet)[0].end
                return True
            unsure += differs is None
            if unsure > _MOST_UNSURE:
                break
        if unsure:
            self._open("what it asks of a packet is not known here")
        if given_back:
            self._open(_GIVEN_BACK)
        return False if unsure or given_back else None

    def _open(self, words: str) -> None:
        if words not in self.found.open:
            self.found.open.append(words)

    def _by_interfaces(self, space: Space, box: Box) -> tuple[Box | None, list[Box]]:
        """The part whose interfaces are this host's, and the others."""
        iif, oif = (space.mask(name, lambda n: not n or n in self._here) for name in ("iif", "oif"))
        inside, *other = (box.within(iif=iif, oif=oif), box.within(iif=~iif), box.within(iif=iif, oif=~oif))
        return (inside if all(inside.masks) else None), [one for one in other if all(one.masks)]

    def _is_possible(self, space: Space, opening: Space, box: Box, to_itself: bool) -> bool:
        """Whether any packet can be there, by whatever interface: one of a flow that is denied can't."""
        some = (p for part in self.flows.possible(space, opening, box) for p in packets(space, part, to_itself))
        return any(n == _MOST_OF_ONE or self._may_be(box, p) for n, p in enumerate(islice(some, _MOST_OF_ONE), 1))

    def _may_be(self, box: Box, packet: Packet) -> bool:
        """Whether what was assumed of networks' chains holds, and a flow that it is of would be allowed."""
        for words, held in box.assumed:
            kind, _, network_id = words.removeprefix(CHAIN).partition("-")
            network = self.wanted.networks.get(network_id) if words.startswith(CHAIN) else None
            if network is not None:
                rules = network.egress if kind == "out" else network.ingress
                if evaluate(rules, opening_packet(self.wanted, packet)).allowed is not held:
                    return False
        if packet.kind is Kind.ERROR:
            return packet.destination in (packet.flow or ())  # else conntrack takes it for one of no flow
        before = opening_of(self.wanted, packet)
        should = right(self.wanted, before) if before is not None else None
        return should is None or should.passes

    def _differs(self, space: Space, packet: Packet) -> bool | None:
        """Whether it does, for sure; None where it is not known. A packet of a flow that nobody opens does not."""
        self.found.tried += 1
        ends = [_sure(table, packet) for table in self.tables]
        if None in ends:
            return None
        if ends[0] is ends[1]:
            return False
        if packet.kind is not Kind.INVALID and packet.protocol == {4: ICMPV6, 6: ICMP}[packet.version]:
            return None  # conntrack takes the other family's ICMP for its own: what state it has is by its bytes
        before = opening_of(self.wanted, packet)
        opened = self._opened(before) if before is not None else True
        if opened is False and packet.kind is Kind.ERROR and before is not None:
            # It may be about a flow of any kind: it is not about the one that is thought of first.
            others = (replace(before, protocol=p, dport=d, icmp=None) for p in ABOUT for d in space.values["dport"])
            return None if any(self._opened(other) is not False for other in others) else False
        return opened

    def _opened(self, before: Packet) -> bool | None:
        """Whether a flow can be there; None where its ends are called otherwise behind the host, or it is not known."""
        ends = [_sure(table, before) for table in self.tables]
        if End.DROP in ends:
            return False
        return True if ends == [End.THROUGH, End.THROUGH] else None


def _sure(table: Table, packet: Packet) -> End | None:
    found = {f.end for f in fates(table, packet)}
    return found.pop() if len(found) == 1 and End.UNKNOWN not in found else None


def packets(space: Space, box: Box, to_itself: bool) -> Iterator[Packet]:
    """The packets of a box: the plainest first, fields that matter little turning last."""
    senders, receivers = (space.pairs(box.masks[n]) for n in (0, 1))
    protocols, sports, dports, icmps = (space.among(n, box.masks[FIELDS.index(n)]) for n in FIELDS[2:6])
    firsts, lasts = (frozenset(space.among(n, box.masks[FIELDS.index(n)])) for n in ("first", "last"))
    for icmp, sport, (iif, source), (oif, destination), protocol, dport in product(
        icmps, sports, senders, receivers, protocols, dports
    ):
        if (source == destination) is not to_itself:
            continue
        chosen = {"iif": iif, "oif": oif, "source": source, "destination": destination}
        chosen |= {"protocol": protocol, "sport": sport, "dport": dport, "icmp": icmp}
        if space.kind is not Kind.ERROR:
            yield space.packet(chosen)
            continue
        # One that is of neither end of its flow conntrack takes for one of no flow.
        for first, last in (*((destination, a) for a in lasts), *((a, destination) for a in firsts)):
            if first in firsts and last in lasts:
                yield space.packet({**chosen, "first": first, "last": last})
