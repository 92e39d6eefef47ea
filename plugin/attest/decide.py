"""The kernel's table and the reviewed one in; that no packet of this host fares differently, or one that does, out.

All packets are gone through at once, as boxes: those that come by any interface of this host for another or for the
host, and the host's own; new ones, answers, errors and strays. A box in which both tables end alike is done. Of a box
where they do not, packets are made one by one and led through both (walk.py): one that fares differently is the
witness; where each of them turns out to be none (nobody allowed its flow), the box is empty. Of many endpoints that
nothing tells apart a few stand for all (classes.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import told_apart
from calico_rkt.plugin.attest.boxes import Box, Field
from calico_rkt.plugin.attest.classes import fewer
from calico_rkt.plugin.attest.flows import Flows
from calico_rkt.plugin.attest.leading import mentioned
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.reviewed import reviewed_table
from calico_rkt.plugin.attest.ruleset import Chain, Table
from calico_rkt.plugin.attest.starts import starts
from calico_rkt.plugin.attest.values import values_of
from calico_rkt.plugin.attest.walk import ORDER, End
from calico_rkt.plugin.attest.ways import TooManyError, Ways, chains_at
from calico_rkt.plugin.attest.witness import Decided, Witnesses

_MOST_PARTS = 200_000


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
        found.witnesses.found.open = ["it takes more than can be gone through to compare all packets"]
    return found.witnesses.found


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
        self.few = fewer((table, reviewed), wanted)
        left = [_MOST_PARTS]
        kernel, right = self.few.tables
        self.ways = (Ways("kernel", kernel, alike, left), Ways("reviewed", right, alike, left))
        self.differing = {*differing, *(set(table.chains) ^ set(reviewed.chains))} - set(alike)
        self.witnesses = Witnesses((table, reviewed), wanted, Flows(self.few, alike))
        self._reached: dict[str, bool] = {}

    def run(self) -> None:
        """Until a witness is found, or there is none."""
        few = self.few
        for version in (4, 6):
            values, known = values_of(few.tables, few.wanted, version, few.gone), dict[object, Field | None]()
            sets, groups = {w.name: w.table.sets for w in self.ways}, few.tables[0].groups
            spaces = {kind: Space(values, few.wanted, kind, version, sets, known, groups) for kind in Kind}
            for kind, space in spaces.items():
                for hooks, boxes in starts(space, few.wanted):
                    if self._touched(hooks, kind):
                        apart = self._apart(space, hooks, boxes)
                        for own in (False, True):
                            if any(self.witnesses.has(space, spaces[Kind.NEW], one, own) for one in apart):
                                return

    def _touched(self, hooks: Sequence[str], kind: Kind) -> bool:
        return any(self._reaches(name) for name in self._base(hooks, kind))

    def _base(self, hooks: Sequence[str], kind: Kind) -> list[str]:
        """Names of chains that a packet meets, in order."""
        found: dict[str, tuple[int, int]] = {}
        for table in self.few.tables:
            for chain in chains_at(table, hooks, kind):
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
            for table in self.few.tables:
                for rule in table.chains[one].rules if one in table.chains else ():
                    for statement in rule.statements:
                        left += mentioned(statement, table)
        return False

    def _apart(self, space: Space, hooks: Sequence[str], boxes: Sequence[Box]) -> list[Box]:
        """The parts in which the tables end apart."""
        for ways in self.ways:
            ways.space = space
        alive = [_Alive(box) for box in boxes]
        chains = self._base(hooks, space.kind)
        last = max(n for n, name in enumerate(chains) if self._reaches(name))
        for n, name in enumerate(chains):
            alive = [part for one in alive for part in self._both(name, one)]
            if n >= last:  # what comes now is one thing in both tables
                alive = [one for one in alive if one.ends[0] is not one.ends[1]]
        return [one.box for one in alive]

    def _both(self, name: str, alive: _Alive) -> Iterator[_Alive]:
        kernel, reviewed = (table.chains.get(name) for table in self.few.tables)
        if not self._reaches(name) and kernel is not None:
            for end, box in self.ways[0].through(kernel, alive.box):
                yield from _going(box, tuple(_then(e, end) for e in alive.ends))
            return
        for end, box in _through(self.ways[0], kernel, alive.box, alive.ends[0]):
            for other, part in _through(self.ways[1], reviewed, box, alive.ends[1]):
                yield from _going(part, (_then(alive.ends[0], end), _then(alive.ends[1], other)))


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
    return {name for rule in chain.rules for statement in rule.statements for name in mentioned(statement, table)}
