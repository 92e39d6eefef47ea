"""Packets all the time while policies, tables, agents, the program and containers change: never a wrong one."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support.commands import tool
from tests.clients.support.lab import PLUGINS, conf
from tests.clients.support.wire.drawing import draw_files, draw_host, new_seed
from tests.clients.support.wire.host import WireHost, wire_host
from tests.clients.support.wire.meaning import Meaning
from tests.clients.support.wire.packets import Aim, Sent
from tests.clients.support.wire.stream import Stream

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PASSING_BY = conf("passing-by", {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/28"}]]})
"""A network whose endpoints come and go meanwhile, and that no rule names."""


class Agreed:
    """Packets of which two policies say the same, by where they should arrive."""

    def __init__(self, made: WireHost, rng: random.Random, files: list[dict[str, Any]]) -> None:
        self._meanings: list[Meaning] = []
        for some in files:
            made.write(some)
            self._meanings.append(made.meaning())
        where = {e.place: e.addresses for e in made.endpoints.values()}
        documents = {str(n): f for n, f in enumerate(files)}
        self._aim = Aim(rng, {**made.host, "files": documents}, where, self._meanings[0].owns)

    def packets(self) -> Iterator[Sent]:
        for sent in self._aim.packets():
            if len({m.arrives(sent) for m in self._meanings}) == 1:
                yield sent

    def expected(self, sent: Sent) -> str | None:
        return self._meanings[0].arrives(sent)


def through(binary: Path, folder: Path, seed: int, changes: tuple[str, ...]) -> str:
    """Send packets that two random policies agree on while the changes are made, one after the other."""
    print(f"WIRE_SEED={seed}")
    rng = random.Random(seed)
    host = draw_host(rng)
    host["networks"].append(PASSING_BY)
    host["endpoints"].append(["first", "eth0", "passing-by"])
    policies = [host["files"], draw_files(rng, host["networks"][:-1])]
    with wire_host(binary, folder, host, agent=True) as made, made.taps() as taps:
        agreed = Agreed(made, rng, policies)
        made.lab.netns("visitor")
        turns = itertools.cycle(reversed(policies))
        spans: list[tuple[str, float, float]] = []
        with Stream(taps, agreed.packets()) as stream:
            for change in changes:
                begun = time.monotonic()
                _make(change, made, binary, turns)
                spans.append((change, begun, time.monotonic()))
                stream.let_pass(20)
        wrong, lost = [], 0
        for f in stream.flown:
            to, during = agreed.expected(f.sent), _during(spans, f.until)
            if to and not f.came and during.startswith("restore"):
                lost += 1
            elif f.came != ({to} if to else set()):
                wrong.append(f"{f.sent} should arrive at {to or 'nowhere'}, came to {sorted(f.came)}, {during}")
    assert not wrong, f"seed {seed}, {len(wrong)} of {len(stream.flown)}:\n" + "\n".join(wrong[:20])
    # One thread sends, so one packet is on its way through the rules when a restore swaps the table's maps.
    assert lost <= changes.count("restore")
    arrived = sum(bool(f.came) for f in stream.flown)
    assert arrived
    assert arrived < len(stream.flown)
    said = f"{len(changes)} changes, {len(stream.flown)} packets, {arrived} arrived that both policies allow"
    return f"{said}, {lost} lost in restores"


def _during(spans: list[tuple[str, float, float]], at: float) -> str:
    """The last change before that, and how long it had been begun."""
    last = [f"{change} ({at - begun:.3f} s of {ended - begun:.3f})" for change, begun, ended in spans if begun <= at]
    return last[-1] if last else "none yet"


def _make(change: str, made: WireHost, binary: Path, policies: Iterator[dict[str, Any]]) -> None:
    assert made.agent is not None
    if change == "apply":
        made.apply(next(policies))
    elif change == "restore":
        assert tool(made.lab, "restore").returncode == 0
    elif change == "agent dies":
        made.agent.kill(signal.SIGKILL)
        made.agent.restart()
    elif change == "update":
        new = made.lab.path(PLUGINS, ".calico.new")
        shutil.copy(binary, new)
        new.rename(made.lab.path(PLUGINS, "calico"))
        _visit(made)  # of which the agent learns that it is to end; systemd starts the next one
        made.agent.ended()
        made.agent.restart()
    elif change == "visit":
        _visit(made)
    else:
        raise ValueError(change)


def _visit(made: WireHost) -> None:
    made.add("visitor", "eth0", "passing-by")
    made.delete("visitor/eth0")


CHANGES = ("apply", "visit", "restore", "apply", "agent dies", "visit", "update", "apply", "visit")


def test_no_change_lets_a_packet_through_or_loses_one(binary: Path, tmp_path: Path) -> None:
    print(through(binary, tmp_path / "files", 5, CHANGES))


@pytest.mark.slow
def test_no_apply_of_two_that_alternate_lets_a_packet_through_or_loses_one(binary: Path, tmp_path: Path) -> None:
    seed = new_seed()
    print(through(binary, tmp_path / "files", seed, (*CHANGES, *["apply"] * 20)))
