"""A seed in, its host brought up and its packets sent, and what did not fare as the files say out, made small."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from calico_rkt.compiler.diagnostics import CompileError
from tests.clients.support.wire.drawing import draw_files, draw_host
from tests.clients.support.wire.host import WireHost, wire_host
from tests.clients.support.wire.kept import keep, packet_values, smaller
from tests.clients.support.wire.meaning import Meaning
from tests.clients.support.wire.packets import Aim, Sent
from tests.clients.support.wire.taps import Taps, fates


@dataclass
class Tried:
    """What was tried: how many hosts, policies, packets, how many of these arrived, and of which kinds they were."""

    hosts: int = 0
    policies: int = 0
    packets: int = 0
    arrived: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tried) -> Tried:
        return Tried(
            self.hosts + other.hosts,
            self.policies + other.policies,
            self.packets + other.packets,
            self.arrived + other.arrived,
            self.kinds + other.kinds,
        )

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.kinds.items()))
        return f"{self.hosts} hosts, {self.policies} policies, {self.packets} packets, {self.arrived} arrived: {kinds}"


@dataclass(frozen=True)
class Mismatch:
    """A packet that did not fare as the files say."""

    sent: Sent
    expected: str | None
    came: frozenset[str]
    explained: str

    def __str__(self) -> str:
        came = " and ".join(sorted(self.came)) or "nowhere"
        return f"{self.sent}\n  should arrive at {self.expected or 'nowhere'}, came to {came} ({self.explained})"


def tried(binary: Path, folder: Path, seed: int, *, agent: bool, rounds: int, packets: int) -> Tried:
    """Bring the seed's host up, send packets under each of its policies. Raises AssertionError on any mismatch."""
    print(f"WIRE_SEED={seed} {'with an agent' if agent else 'one process a call'}")
    rng = random.Random(seed)
    host = draw_host(rng)
    found = Tried(hosts=1)
    with wire_host(binary, folder / f"{seed}-{agent}", host, agent=agent) as made, made.taps() as taps:
        files = host["files"]
        for number in range(rounds):
            if number:
                files = draw_files(rng, host["networks"])
                made.apply(files)
            some, wrong = one_policy(made, taps, rng, {**host, "files": files}, packets)
            found += some
            if wrong:
                case = shrunk(made, taps, {**host, "files": files}, wrong[0].sent, f"{seed}-{number}")
                said = "\n".join(map(str, wrong[:20]))
                raise AssertionError(f"seed {seed}, policy {number}: {len(wrong)} mismatches; kept in {case}\n{said}")
    return found


def one_policy(made: WireHost, taps: Taps, rng: random.Random, host: dict, count: int) -> tuple[Tried, list[Mismatch]]:
    """Send packets that are aimed at the host's files; those that did not fare as they say."""
    meaning = made.meaning()
    aim = Aim(rng, host, {e.place: e.addresses for e in made.endpoints.values()}, meaning.owns)
    sent = list(islice(aim.packets(), count))
    for s in filter(meaning.can_explain, sent):
        told, to = meaning.explained(s), meaning.arrives(s)
        assert told == to, f"explain says {told}, the evaluator {to}: {s}"
    arrived, wrong = mismatches(taps, meaning, sent)
    made.forget_flows()
    kinds = Counter(f"from {s.place if s.place in ('host', 'outside') else 'containers'}" for s in sent)
    kinds += Counter("with another's source" for s in sent if not meaning.is_true(s))
    kinds += Counter("that open no flow" for s in sent if not meaning.opens(s))
    return Tried(0, 1, len(sent), arrived, kinds), wrong


def mismatches(taps: Taps, meaning: Meaning, sent: Sequence[Sent]) -> tuple[int, list[Mismatch]]:
    """Send packets: how many arrived anywhere, and those that did not fare as the files say."""
    expected = [meaning.arrives(s) for s in sent]
    came = fates(taps, sent, expected)
    wrong = [
        Mismatch(s, to, frozenset(at), meaning.why(s))
        for s, to, at in zip(sent, expected, came, strict=True)
        if at != ({to} if to else set())
    ]
    return sum(map(bool, came)), wrong


def shrunk(made: WireHost, taps: Taps, host: dict, sent: Sent, name: str) -> Path:
    """The case of one packet with as few rules as it takes, where it fails again at all."""

    def fails(files: Mapping[str, Any]) -> bool:
        made.write(files)
        try:
            meaning = made.meaning()
        except CompileError:
            return False
        if made.try_apply(files):
            return False
        made.forget_flows()
        return bool(mismatches(taps, meaning, [sent])[1])

    files = smaller(host["files"], fails) if fails(host["files"]) else host["files"]
    made.write(files)
    packet = {**packet_values(sent, made.endpoints), "arrives": made.meaning().arrives(sent)}
    return keep(name, {**host, "files": files}, packet)
