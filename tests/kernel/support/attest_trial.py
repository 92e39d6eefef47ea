"""A seed and a number in; so many edits, each attested and tried with real packets before and after, out."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from calico_rkt.plugin.attest.oracle import right
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.probes import Hints, packets
from calico_rkt.plugin.attest.walk import End
from tests.kernel.support import enforce_world as w
from tests.kernel.support.attest_edits import Edit, Editor, T, rules_of
from tests.kernel.support.attest_sentences import Writer
from tests.kernel.support.attest_shapes import PLAIN, Shape, shape_for
from tests.kernel.support.attest_wire import Wire
from tests.kernel.support.attested import Attested

AIMED = 50
_TOKENS = str.maketrans(dict.fromkeys('{},"-', " "))
JUDGED = ("equal", "different", "not proven")


@dataclass
class Trial:
    """Counts of edits by what attest said (kinds: and by what they are about), of packets that were sent, and whatever
    was wrong."""

    seed: int
    edits: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    sent: int = 0
    wrong: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def count(self, edit: Edit, what: str) -> None:
        """One more."""
        self.edits[what] += 1
        self.kinds.setdefault(edit.kind, Counter())[what] += 1


@dataclass
class _Said:
    edit: Edit
    packets: list[Packet]
    shapes: list[Shape]
    after: list[End]
    expected: list[End] | None
    """What the kernel was said to make of each; None where it was said to be equal."""


def try_edits(
    world: Attested, wire: Wire, seed: int, count: int, aimed: int = AIMED, *, grammar: bool = False
) -> Trial:
    """Each edit is made in a table that is whole. grammar: they are of what nft can say, else of what people do."""
    chance = random.Random(seed)
    trial, said = Trial(seed), []
    names = list(world.ends)
    addresses = [a for end, _ in world.ends.values() for a in end.address.values()]
    editor = Writer(chance, names, addresses) if grammar else Editor(chance, names, addresses)
    while sum(trial.edits[k] for k in JUDGED) < count:
        _whole(world)
        with w.inside(world.host):
            listing = subprocess.run(
                ["nft", "-a", "list", "table", *T.split()], capture_output=True, text=True, check=True
            )
        edit = editor.edit(rules_of(listing.stdout))
        if world.lab.run(world.host, ["nft", "-f", "-"], edit.script).returncode:
            trial.count(edit, "refused by nft")
            continue
        one = _judged(world, wire, edit, trial, chance, aimed)
        if one is not None:
            said.append(one)
    _whole(world)
    _before(world, wire, said, trial)
    return trial


def _judged(world: Attested, wire: Wire, edit: Edit, trial: Trial, chance: random.Random, aimed: int) -> _Said | None:
    try:
        found = world.attest()
    except Exception as e:  # noqa: BLE001 - whatever it is, no user wants it
        trial.count(edit, "ended")
        trial.wrong.append(f"{edit.script!r}: attest ended with {e!r}")
        return None
    if found.status == 3:
        trial.count(edit, "not proven")
        trial.open.append(f"{edit.script!r}: {found.open[0]}")
        return None
    if found.status == 0:
        trial.count(edit, "equal")
        tried = [p for p in _aimed(world, edit, chance, aimed) if wire.sendable(p)]
        own = random.Random(edit.script)  # what an edit is does not depend on how packets of those before looked
        shapes = [shape_for(edit.words, own) for _ in tried]
        return _Said(edit, tried, shapes, _sent(wire, tried, trial, shapes), None)
    trial.count(edit, "different")
    shown = [d for d in found.differences if d.witness is not None and wire.sendable(d.witness)]
    if not shown:
        trial.edits["different, shown in one chain alone or by no packet that can be sent here"] += 1
        return None
    tried = [d.witness for d in shown[:3] if d.witness is not None]
    expected = [End(d.kernel) for d in shown[:3]]
    return _Said(edit, tried, [PLAIN] * len(tried), _steadily_sent(wire, tried, expected, trial), expected)


def _whole(world: Attested) -> None:
    """Nobody else's table, and ours as it should be."""
    world.nft("flush ruleset")
    world.restore()


def _sent(wire: Wire, tried: list[Packet], trial: Trial, shapes: Sequence[Shape] = ()) -> list[End]:
    trial.sent += len(tried)
    return wire.fates(tried, shapes)


def _steadily_sent(wire: Wire, tried: list[Packet], expected: list[End], trial: Trial) -> list[End]:
    """What became of each. One that fares otherwise is sent once more: what opens its flow may have been late."""
    found = zip(tried, _sent(wire, tried, trial), expected, strict=True)
    return [now if now is end else _sent(wire, [packet], trial)[0] for packet, now, end in found]


def _aimed(world: Attested, edit: Edit, chance: random.Random, count: int) -> list[Packet]:
    """Packets about what the edit speaks of."""
    hints = Hints()
    if "-" in edit.chain:
        hints.networks[edit.chain.partition("-")[2]] = None
    for token in edit.words.translate(_TOKENS).split():
        hints.of_element(token)
        if token.isdecimal() and 0 < int(token) < 65536:
            hints.ports[int(token)] = None
            if int(token) < 256:
                hints.protocols[int(token)] = None
                if "icmp" in edit.words:
                    hints.icmp[int(token), 0] = None
    found = [p for p in islice(packets(world.wanted, hints), 4000) if right(world.wanted, p) is not None]
    fresh = [p for p in found if p.kind is Kind.NEW]
    rest = [p for p in found if p.kind is not Kind.NEW]
    return chance.sample(fresh, min(count - 2, len(fresh))) + chance.sample(rest, min(2, len(rest)))


def _apart(edit: Edit, was: End, now: End) -> bool:
    """Whether a packet fares otherwise as far as attest speaks of it: another's source that others give is theirs."""
    passing = (End.THROUGH, End.TRANSLATED)
    return was is not now and not (edit.is_others and was in passing and now in passing)


def _still(world: Attested, wire: Wire, one: _Said, n: int, trial: Trial) -> bool:
    """Whether a packet fares otherwise without and with the edit once more: the machine may have been late."""
    found = []
    for script in ("", one.edit.script):
        _whole(world)
        world.nft(script)
        found += _sent(wire, [one.packets[n]], trial, [one.shapes[n]])
    _whole(world)
    return _apart(one.edit, *found)


def _before(world: Attested, wire: Wire, said: list[_Said], trial: Trial) -> None:
    """The same packets in the table that nobody edited, each once."""
    every = list(dict.fromkeys(p for one in said for p in zip(one.packets, one.shapes, strict=True)))
    packets_, shapes = [p for p, _ in every], [s for _, s in every]
    before = dict(zip(every, _sent(wire, packets_, trial, shapes), strict=True))
    for one in said:
        for n, packet in enumerate(one.packets):
            was, now = before[packet, one.shapes[n]], one.after[n]
            if one.expected is None:
                if _apart(one.edit, was, now) and _still(world, wire, one, n, trial):
                    trial.wrong.append(
                        f"{one.edit.script!r}: called equal, and {packet} {one.shapes[n] or ''} was {was}, is {now}"
                    )
            elif was is now or now is not one.expected[n]:
                said_to = one.expected[n].value
                trial.wrong.append(f"{one.edit.script!r}: {packet} was {was}, is {now}, was said to be {said_to}")
