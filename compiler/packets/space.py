"""The rules of an analysis in, their packets as boxes out: products of sets of cells that no rule tells apart."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, Icmp, Match, Net, PortRange, Rule, Side
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.ir.rule_parts import selectors_of
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.packets.labels import Labels, label_classes
from calico_rkt.compiler.packets.opening import OPENING

Box = tuple[int, ...]
"""A product of cell sets, one bit mask for each dimension; empty as soon as one mask is 0."""

SOURCE, DESTINATION, PROTOCOL, SPORT, DPORT, ICMP_TYPE, ICMP_CODE, FROM, TO = range(9)
V6 = 1 << 32
"""Where IPv6 begins in the dimension of addresses; IPv4 stands below."""
_FAMILIES = {4: (0, V6), 6: (V6, V6 + (1 << 128))}
ENDS = (V6 + (1 << 128), V6 + (1 << 128), 256, 1 << 16, 1 << 16, 256, 256)


class Space:
    """The packets that open a flow, cut into cells by the rules given; cuts[d] are the beginnings of d's cells.

    A packet without ports has port 0, one without ICMP has type and code 0; source and destination are of one
    family. rules must be resolved (no NameRef). UndecidedError where labels can't be told apart in bounds.
    """

    def __init__(self, rules: Iterable[Rule], network_ids: frozenset[str] = frozenset()) -> None:
        rules = tuple(rules)
        selectors = selectors_of(rules)
        self.classes: tuple[Labels, ...] = label_classes(selectors, network_ids)
        self.cuts = _cuts(rules)
        self._class_masks = {s: self.holding(s) for s in selectors}
        self.atoms = tuple(sorted({a for s in selectors for a in s.atoms}, key=str))
        self.all: Box = (*((1 << len(c)) - 1 for c in self.cuts), *[(1 << len(self.classes)) - 1] * 2)
        self._icmp = self._cells(PROTOCOL, [(ICMP, ICMP + 1), (ICMPV6, ICMPV6 + 1)])
        self._families = {
            (version, d): self._cells(d, [family])
            for version, family in _FAMILIES.items()
            for d in (SOURCE, DESTINATION)
        }
        self.universe = tuple(self._universe())
        self._known: dict[int, tuple[Rule, tuple[Box, ...]]] = {}

    def holding(self, selector: Selector) -> int:
        """The classes that the selector matches, as a mask."""
        return sum(1 << i for i, c in enumerate(self.classes) if c is not None and selector.matches(c))

    def nobodys(self, box: Box) -> bool:
        """Whether all its packets go from one address to itself: it is one endpoint's, so none of them is sent."""
        source = self._only(SOURCE, box[SOURCE])
        return source is not None and source == self._only(DESTINATION, box[DESTINATION])

    def unsent(self, box: Box) -> bool:
        """Whether none of its packets is one that is sent and opens a flow."""
        return self.nobodys(box) or self.opens_none(box)

    def opens_none(self, box: Box) -> bool:
        """Whether all its packets are ICMP of types that open no flow."""
        if box[PROTOCOL] & ~self._icmp:
            return False
        cuts = self.cuts[ICMP_TYPE]
        return not any(
            box[ICMP_TYPE] >> (bisect_right(cuts, kind) - 1) & 1
            for protocol, kinds in OPENING.items()
            if box[PROTOCOL] & self._cells(PROTOCOL, [(protocol, protocol + 1)])
            for kind in kinds
        )

    def _only(self, dimension: int, mask: int) -> int | None:
        """The value of a mask that holds one; None where it holds more."""
        if mask & mask - 1:
            return None
        cuts, cell = self.cuts[dimension], mask.bit_length() - 1
        end = cuts[cell + 1] if cell + 1 < len(cuts) else ENDS[dimension]
        return cuts[cell] if end - cuts[cell] == 1 else None

    def boxes(self, rule: Rule) -> tuple[Box, ...]:
        """The packets that the rule matches, as disjoint boxes that are not empty."""
        known = self._known.get(id(rule))
        if known is None:
            boxes = tuple(
                b
                for m in self._match(rule.match)
                for u in self.universe
                if m[PROTOCOL] & u[PROTOCOL] and (b := meet(m, u)) is not None
            )
            known = self._known[id(rule)] = rule, boxes  # with the rule, so that no other gets its id
        return known[1]

    def _cells(self, dimension: int, ranges: Iterable[tuple[int, int]]) -> int:
        """The cells of half-open ranges, each of which begins and ends at a cut."""
        cuts, mask = self.cuts[dimension], 0
        for lo, hi in ranges:
            mask |= (1 << bisect_left(cuts, hi)) - (1 << bisect_left(cuts, lo))
        return mask

    def _universe(self) -> Iterable[Box]:
        ported = self._cells(PROTOCOL, [(p, p + 1) for p in PORT_PROTOCOLS])
        bare = self.all[PROTOCOL] & ~ported & ~self._icmp
        for version in _FAMILIES:
            for protocols, has_ports, has_icmp in (
                (ported, True, False),
                (self._icmp, False, True),
                (bare, False, False),
            ):
                box = list(self.all)
                box[SOURCE] = self._families[version, SOURCE]
                box[DESTINATION] = self._families[version, DESTINATION]
                box[PROTOCOL] = protocols
                if not has_ports:
                    box[SPORT] = box[DPORT] = 1
                if not has_icmp:
                    box[ICMP_TYPE] = box[ICMP_CODE] = 1
                yield tuple(box)

    def _match(self, m: Match) -> list[Box]:
        box = list(self.all)
        for side, address, port, label in (
            (m.source, SOURCE, SPORT, FROM),
            (m.destination, DESTINATION, DPORT, TO),
        ):
            box[address] &= self._addresses(m, side, address)
            box[port] &= self._ports(side, port)
            if side.selector is not None:
                box[label] &= self._class_masks[side.selector]
            if side.not_selector is not None:
                box[label] &= ~self._class_masks[side.not_selector]
        if m.protocol is not None:
            box[PROTOCOL] &= self._cells(PROTOCOL, [(m.protocol, m.protocol + 1)])
        if m.not_protocol is not None:
            box[PROTOCOL] &= ~self._cells(PROTOCOL, [(m.not_protocol, m.not_protocol + 1)])
        if m.icmp is not None:
            box = list(meet(tuple(box), self._icmp_box(m.icmp)) or (0,) * len(box))
        return [tuple(box)] if m.not_icmp is None else without(tuple(box), self._icmp_box(m.not_icmp))

    def _addresses(self, m: Match, side: Side, dimension: int) -> int:
        mask = self.all[dimension] if m.ip_version is None else self._families[m.ip_version, dimension]
        if side.nets:
            mask &= self._cells(dimension, map(net_range, nets(side.nets)))
        if side.not_nets:
            mask &= ~self._cells(dimension, map(net_range, nets(side.not_nets)))
        return mask

    def _ports(self, side: Side, dimension: int) -> int:
        mask = self._cells(dimension, map(_port_range, ports(side.ports))) if side.ports else self.all[dimension]
        return mask & ~self._cells(dimension, map(_port_range, ports(side.not_ports))) if side.not_ports else mask

    def _icmp_box(self, icmp: Icmp) -> Box:
        box = list(self.all)
        box[PROTOCOL] = self._icmp
        box[ICMP_TYPE] = self._cells(ICMP_TYPE, [(icmp.type, icmp.type + 1)])
        if icmp.code is not None:
            box[ICMP_CODE] = self._cells(ICMP_CODE, [(icmp.code, icmp.code + 1)])
        return tuple(box)


def meet(a: Box, b: Box) -> Box | None:
    """The packets of both; None where there is none."""
    # Dimension by dimension: a third of an analysis is spent here, and most boxes part at once.
    if (
        (source := a[0] & b[0])
        and (destination := a[1] & b[1])
        and (protocol := a[2] & b[2])
        and (sport := a[3] & b[3])
        and (dport := a[4] & b[4])
        and (kind := a[5] & b[5])
        and (code := a[6] & b[6])
        and (start := a[7] & b[7])
        and (end := a[8] & b[8])
    ):
        return source, destination, protocol, sport, dport, kind, code, start, end
    return None


def without(a: Box, b: Box) -> list[Box]:
    """The packets of a that are not in b, as disjoint boxes."""
    if meet(a, b) is None:
        return [a]
    out: list[Box] = []
    for d, mask in enumerate(b):
        if rest := a[d] & ~mask:
            out.append((*a[:d], rest, *a[d + 1 :]))
        a = (*a[:d], a[d] & mask, *a[d + 1 :])
    return out


def _cuts(rules: Sequence[Rule]) -> tuple[list[int], ...]:
    cuts: list[set[int]] = [{0, V6}, {0, V6}, {0}, {0, 1}, {0, 1}, {0, 1}, {0, 1}]
    protocols = {*PORT_PROTOCOLS, ICMP, ICMPV6}
    for rule in rules:
        m = rule.match
        protocols.update(p for p in (m.protocol, m.not_protocol) if p is not None)
        for icmp in (m.icmp, m.not_icmp):
            if icmp is not None:
                cuts[ICMP_TYPE] |= {icmp.type, icmp.type + 1}
                cuts[ICMP_CODE] |= {icmp.code, icmp.code + 1} if icmp.code is not None else set()
        for side, address, port in ((m.source, SOURCE, SPORT), (m.destination, DESTINATION, DPORT)):
            for net in nets((*side.nets, *side.not_nets)):
                cuts[address].update(net_range(net))
            for given in ports((*side.ports, *side.not_ports)):
                cuts[port].update(_port_range(given))
    cuts[PROTOCOL] |= {x for p in protocols for x in (p, p + 1)}
    return tuple(sorted(x for x in c if x < end) for c, end in zip(cuts, ENDS, strict=True))


def net_range(net: Net) -> tuple[int, int]:
    """First address of a network, and the one behind its last; IPv6 stands above IPv4."""
    first = int(net.network_address) + (V6 if net.version == 6 else 0)
    return first, first + (1 << net.max_prefixlen - net.prefixlen)


def _port_range(port: PortRange) -> tuple[int, int]:
    return port.lo, port.hi + 1
