"""A seed and a number in; so many edits, each attested and tried with real packets before and after, out."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from calico_rkt.plugin.attest.oracle import right
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.probes import Hints, packets
from calico_rkt.plugin.attest.walk import End
from tests.kernel.support import enforce_world as w
from tests.kernel.support.attest_edits import Edit, Editor, T, rules_of
from tests.kernel.support.attest_wire import Wire
from tests.kernel.support.attested import Attested

AIMED = 50
_TOKENS = str.maketrans(dict.fromkeys('{},"', " "))


@dataclass
class Trial:
    """Counts of edits by what attest said, of packets that were sent, and whatever was wrong."""

    seed: int
    edits: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    wrong: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


@dataclass
class _Said:
    edit: Edit
    packets: list[Packet]
    after: list[End]
    expected: list[End] | None
    """What the kernel was said to make of each; None where it was said to be equal."""


def try_edits(world: Attested, wire: Wire, seed: int, count: int, aimed: int = AIMED) -> Trial:
    """Each edit is made in a table that is whole."""
    chance = random.Random(seed)
    trial, said = Trial(seed), []
    names = list(world.ends)
    addresses = [a for end, _ in world.ends.values() for a in end.address.values()]
    editor = Editor(chance, names, addresses)
    while sum(trial.edits[k] for k in ("equal", "different", "not proven")) < count:
        world.restore()
        with w.inside(world.host):
            listing = subprocess.run(
                ["nft", "-a", "list", "table", *T.split()], capture_output=True, text=True, check=True
            )
        edit = editor.edit(rules_of(listing.stdout))
        if world.lab.run(world.host, ["nft", "-f", "-"], edit.script).returncode:
            trial.edits["refused by nft"] += 1
            continue
        one = _judged(world, wire, edit, trial, chance, aimed)
        if one is not None:
            said.append(one)
    world.restore()
    _before(wire, said, trial)
    return trial


def _judged(world: Attested, wire: Wire, edit: Edit, trial: Trial, chance: random.Random, aimed: int) -> _Said | None:
    found = world.attest()
    if found.status == 3:
        trial.edits["not proven"] += 1
        trial.open.append(f"{edit.script!r}: {found.open[0]}")
        return None
    if found.status == 0:
        trial.edits["equal"] += 1
        tried = [p for p in _aimed(world, edit, chance, aimed) if wire.sendable(p)]
        return _Said(edit, tried, _sent(wire, tried, trial), None)
    trial.edits["different"] += 1
    shown = [d for d in found.differences if d.witness is not None and wire.sendable(d.witness)]
    if not shown:
        trial.edits["different, shown in one chain alone or by no packet that can be sent here"] += 1
        return None
    tried = [d.witness for d in shown[:3] if d.witness is not None]
    expected = [End(d.kernel) for d in shown[:3]]
    return _Said(edit, tried, _steadily_sent(wire, tried, expected, trial), expected)


def _sent(wire: Wire, tried: list[Packet], trial: Trial) -> list[End]:
    trial.sent += len(tried)
    return wire.fates(tried)


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
    found = [p for p in islice(packets(world.wanted, hints), 4000) if right(world.wanted, p) is not None]
    fresh = [p for p in found if p.kind is Kind.NEW]
    rest = [p for p in found if p.kind is not Kind.NEW]
    return chance.sample(fresh, min(count - 2, len(fresh))) + chance.sample(rest, min(2, len(rest)))


def _before(wire: Wire, said: list[_Said], trial: Trial) -> None:
    """The same packets in the table that nobody edited, each once."""
    every = list(dict.fromkeys(p for one in said for p in one.packets))
    before = dict(zip(every, _sent(wire, every, trial), strict=True))
    for one in said:
        for n, packet in enumerate(one.packets):
            was, now = before[packet], one.after[n]
            if one.expected is None:
                if was is not now:
                    trial.wrong.append(f"{one.edit.script!r}: called equal, and {packet} was {was}, is {now}")
            elif was is now or now is not one.expected[n]:
                said_to = one.expected[n].value
                trial.wrong.append(f"{one.edit.script!r}: {packet} was {was}, is {now}, was said to be {said_to}")
