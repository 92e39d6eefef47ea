"""The kernel's table and the reviewed one in; that no packet of this host fares differently, or one that does, out.

All packets are gone through at once, as boxes: those that come by any interface of this host for another or for the
host, and the host's own; new ones, answers, errors and strays. A box in which both tables end alike is done. Of a box
where they do not, packets are made one by one and led through both (walk.py): one that fares differently is the
witness; where each of them turns out to be none (nobody allowed its flow), the box is empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, Action, Rule
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import told_apart
from calico_rkt.plugin.attest.oracle import Wanted, opening_of, opening_packet, right
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.regions import FIELDS, Box, Field, Space
from calico_rkt.plugin.attest.reviewed import reviewed_table
from calico_rkt.plugin.attest.ruleset import Chain, Table
from calico_rkt.plugin.attest.starts import starts
from calico_rkt.plugin.attest.values import values_of
from calico_rkt.plugin.attest.walk import ORDER, End, fates
from calico_rkt.plugin.attest.ways import TooManyError, Ways

_MOST_PARTS, _MOST_TRIED, _MOST_OF_ONE, _MOST_UNSURE = 200_000, 4_000, 4_000, 20


@dataclass
class Decided:
    """packet: one that fares differently, with what each table makes of it. open: why more is not known, else empty."""

    packet: Packet | None = None
    kernel: End = End.UNKNOWN
    open: list[str] = field(default_factory=list)
    tried: int = 0


def decide(table: Table, wanted: Wanted, alike: Collection[str], differing: Collection[str]) -> Decided:
    """alike: chains of networks that are as reviewed; differing: other chains and sets that are not."""
    reviewed = reviewed_table(table, wanted)
    as_reviewed = [name for name in alike if set(differing).isdisjoint(_asked_by(table.chains[name], table))]
    found = _Comparison(
        table, reviewed, wanted, _one_thing(wanted, as_reviewed), {*differing, *(set(alike) - set(as_reviewed))}
    )
    try:
        found.run()
    except TooManyError:
        found.decided.open.append("it takes more than can be gone through to compare all packets")
    return found.decided


def _one_thing(wanted: Wanted, alike: Collection[str]) -> Mapping[str, bool | None]:
    """By chain of a network True or False where it lets through everything, or nothing."""
    found: dict[str, bool | None] = {}
    for network_id, network in wanted.networks.items():
        for kind, rules in (("out", network.egress), ("in", network.ingress)):
            name = f"{kind}-{network_id}"
            if name in alike:
                found[name] = _always(rules)
    return found


def _always(rules: Sequence[Rule]) -> bool | None:
    if not any(r.action is Action.ALLOW for r in rules):
        return False
    try:
        return True if told_apart(rules, (Rule(Action.ALLOW),), frozenset()) is None else None
    except (UndecidedError, CompileError):
        return None


@dataclass(frozen=True)
class _Alive:
    """A part of a box, and how it fared so far in each table."""

    box: Box
    ends: tuple[End, End] = (End.THROUGH, End.THROUGH)


class _Comparison:
    def __init__(
        self, table: Table, reviewed: Table, wanted: Wanted, alike: Mapping[str, bool | None], differing: set[str]
    ) -> None:
        self.wanted, self.tables, self.decided = wanted, (table, reviewed), Decided()
        left = [_MOST_PARTS]
        self.ways = (Ways("kernel", table, alike, left), Ways("reviewed", reviewed, alike, left))
        self.differing = {*differing, *(set(table.chains) ^ set(reviewed.chains))} - set(alike)
        self._hypothetical: list[str] = []
        self._reached: dict[str, bool] = {}
        self._here = frozenset((*wanted.by_ifname, wanted.uplink, *wanted.others, "lo"))

    def run(self) -> None:
        for version in (4, 6):
            values, known = values_of(self.tables, self.wanted, version), dict[object, Field | None]()
            for kind in Kind:
                sets = {w.name: w.table.sets for w in self.ways}
                space = Space(values, self.wanted, kind, version, sets, known, self.tables[0].groups)
                for ways in self.ways:
                    ways.space = space
                for hooks, boxes in starts(space, self.wanted):
                    if self._touched(hooks, kind) and self._compare(space, hooks, boxes):
                        return
        self.decided.open += dict.fromkeys(self._hypothetical)

    def _touched(self, hooks: Sequence[str], kind: Kind) -> bool:
        return any(self._reaches(name) for name in self._base(hooks, kind))

    def _base(self, hooks: Sequence[str], kind: Kind) -> list[str]:
        """Names of chains that a packet meets, in order."""
        found: dict[str, tuple[int, int]] = {}
        for table in self.tables:
            for chain in table.base_chains():
                if chain.hook in hooks and (chain.kind != "nat" or kind is Kind.NEW):
                    found.setdefault(chain.name, (ORDER[chain.hook], chain.priority))
        return sorted(found, key=lambda n: found[n])

    def _reaches(self, name: str) -> bool:
        """Whether anything that differs is asked behind a chain."""
        if name not in self._reached:
            self._reached[name] = self._looks(name)
        return self._reached[name]

    def _looks(self, name: str) -> bool:
        seen: set[str] = set()
        left = [name]
        while left:
            one = left.pop()
            if one in self.differing:
                return True
            if one in seen or one in self.ways[0].alike:
                continue
            seen.add(one)
            for table in self.tables:
                for rule in table.chains[one].rules if one in table.chains else ():
                    for statement in rule.statements:
                        left += _mentioned(statement, table)
        return False

    def _compare(self, space: Space, hooks: Sequence[str], boxes: Sequence[Box]) -> bool:
        """Whether a witness was found."""
        alive = [_Alive(box) for box in boxes]
        for name in self._base(hooks, space.kind):
            alive = [part for one in alive for part in self._both(name, one)]
        apart = [one for one in alive if one.ends[0] is not one.ends[1]]
        return any(self._is_witnessed(space, one, own) for own in (False, True) for one in apart)

    def _both(self, name: str, alive: _Alive) -> Iterator[_Alive]:
        kernel, reviewed = (table.chains.get(name) for table in self.tables)
        if not self._reaches(name) and kernel is not None:
            for end, box in self.ways[0].through(kernel, alive.box):
                yield from _going(box, tuple(_then(e, end) for e in alive.ends))
            return
        for end, box in _through(self.ways[0], kernel, alive.box, alive.ends[0]):
            for other, part in _through(self.ways[1], reviewed, box, alive.ends[1]):
                yield from _going(part, (_then(alive.ends[0], end), _then(alive.ends[1], other)))

    def _is_witnessed(self, space: Space, one: _Alive, to_itself: bool) -> bool:
        if self.decided.tried > _MOST_TRIED:
            self._hypothetical.append("too many packets would have to be tried")
            return False
        tried = 0
        unsure = 0
        box, other = self._of_this_host(space, one.box)
        for packet in _packets(space, box, to_itself) if box is not None else ():
            tried += 1
            if tried > _MOST_OF_ONE:
                self._hypothetical.append("too many packets would have to be tried")
                return False
            if not self._may_be(one.box, packet):
                continue
            found = self._differs(space, packet)
            if found:
                self.decided.packet = packet
                self.decided.kernel = fates(self.tables[0], packet)[0].end
                return True
            unsure += found is None
            if unsure > _MOST_UNSURE:
                break
        if unsure:
            self._hypothetical.append("what it asks of a packet is not known here")
        if other and self._is_possible(space, one, to_itself):
            self._hypothetical.append("only packets of an interface that this host has not would fare differently")
        return False

    def _of_this_host(self, space: Space, box: Box) -> tuple[Box | None, bool]:
        """The part whose interfaces are this host's, and whether there is another part."""
        other = False
        for name in ("iif", "oif"):
            place = FIELDS.index(name)
            mask = box.masks[place] & space.mask(name, lambda n: not n or n in self._here)
            other = other or mask != box.masks[place]
            box = box.having(place, mask)
        return (box if all(box.masks) else None), other

    def _is_possible(self, space: Space, one: _Alive, to_itself: bool) -> bool:
        """Whether any packet can be there, by whatever interface: one of a flow that is denied can't."""
        some = islice(_packets(space, one.box, to_itself), _MOST_OF_ONE)
        return any(n == _MOST_OF_ONE or self._may_be(one.box, packet) for n, packet in enumerate(some, 1))

    def _may_be(self, box: Box, packet: Packet) -> bool:
        """Whether what was assumed of networks' chains holds, and a flow that it is of would be allowed."""
        for words, held in box.assumed:
            kind, _, network_id = words.removeprefix("chain ").partition("-")
            network = self.wanted.networks.get(network_id) if words.startswith("chain ") else None
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
        self.decided.tried += 1
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
            others = (
                replace(before, protocol=p, dport=d, icmp=None) for p in (6, 17, 132, 47) for d in space.values[6]
            )
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


def _through(ways: Ways, chain: Chain | None, box: Box, so_far: End) -> Iterator[tuple[End, Box]]:
    if chain is None or so_far in (End.DROP, End.UNKNOWN):
        yield so_far, box
    else:
        yield from ways.through(chain, box)


def _then(so_far: End, end: End) -> End:
    """A packet that was translated stays so."""
    if so_far in (End.DROP, End.UNKNOWN):
        return so_far
    return so_far if end is End.THROUGH else end


def _going(box: Box, ends: tuple[End, ...]) -> Iterator[_Alive]:
    if ends != (End.DROP, End.DROP):
        yield _Alive(box, (ends[0], ends[1]))


def _asked_by(chain: Chain, table: Table) -> set[str]:
    """Sets and chains that a chain speaks of."""
    return {name for rule in chain.rules for statement in rule.statements for name in _mentioned(statement, table)}


def _mentioned(statement: Mapping[str, object], table: Table) -> Iterator[str]:
    """Chains and sets that a part of a rule speaks of."""
    ((kind, value),) = statement.items()
    if kind in ("jump", "goto"):
        yield value["target"]  # type: ignore[index]
    elif kind == "match" and isinstance(value, dict) and isinstance(value["right"], str):
        yield value["right"].removeprefix("@")
    elif kind == "vmap" and isinstance(value, dict):
        data = value["data"]
        if isinstance(data, str):
            name = data.removeprefix("@")
            yield name
            verdicts = list(table.sets[name].elements.values()) if name in table.sets else []
        else:
            verdicts = [f"{k} {v['target']}" for _, to in data["set"] for k, v in to.items() if v]
        yield from dict.fromkeys(v.partition(" ")[2] for v in verdicts if " " in v)


def _packets(space: Space, box: Box, to_itself: bool) -> Iterator[Packet]:
    """The packets of a box: the plainest first, fields that matter little turning last."""
    chosen = [[v for n, v in enumerate(space.values[p]) if box.masks[p] >> n & 1] for p in range(len(FIELDS))]
    order = ["first", "last", "icmp", "sport", "iif", "oif", "source", "destination", "protocol", "dport"]
    lists = [chosen[FIELDS.index(name)] for name in order]
    for values in product(*lists):
        if (values[6] == values[7]) is to_itself:
            yield space.packet(dict(zip(order, values, strict=True)))
