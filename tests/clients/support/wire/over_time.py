"""Changes of policies, tables, agents, the program and containers in; packets sent all the while, judged, out."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.support.commands import tool
from tests.clients.support.lab import PLUGINS, conf, environment
from tests.clients.support.wire.drawing import draw_files, draw_host
from tests.clients.support.wire.drops import Drops
from tests.clients.support.wire.host import WireHost, wire_host
from tests.clients.support.wire.meaning import Meaning
from tests.clients.support.wire.packets import Aim, Sent
from tests.clients.support.wire.stream import Stream
from tests.patience import slowness

PASSING_BY = conf("passing-by", {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/28"}]]})
"""A network whose endpoints come and go meanwhile, and that no rule names."""
_SWAPS = Path(__file__).parents[1] / "programs" / "swap_policies.py"


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


@dataclass
class Passed:
    """What came of it: packets by what became of them, and what was wrong, in words."""

    changes: Counter[str] = field(default_factory=Counter)
    packets: int = 0
    arrived: int = 0
    lost: list[str] = field(default_factory=list)
    """Those that would have begun a flow while a restore built the table: docs/decisions/096."""
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Passed) -> Passed:
        counts = self.packets + other.packets, self.arrived + other.arrived
        return Passed(self.changes + other.changes, *counts, self.lost + other.lost, self.wrong + other.wrong)

    def __str__(self) -> str:
        lost = f"{len(self.lost)} lost in restores"
        return f"{self.changes.total()} changes, {self.packets} packets, {self.arrived} arrived that both allow, {lost}"


def through(binary: Path, folder: Path, seed: int, changes: Iterable[str]) -> Passed:
    """Send packets that two random policies agree on while the changes are made, one after the other."""
    print(f"WIRE_SEED={seed}")
    rng = random.Random(seed)
    host = draw_host(rng)
    host["networks"].append(PASSING_BY)
    host["endpoints"].append(["first", "eth0", "passing-by"])
    policies = [host["files"], draw_files(rng, host["networks"][:-1])]
    done = Passed()
    with wire_host(binary, folder, host, agent=True) as made, made.taps() as taps:
        agreed = Agreed(made, rng, policies)
        made.lab.netns("visitor")
        at_work = Changes(made, binary, policies)
        spans: list[tuple[str, float, float]] = []
        with Drops(made.lab) as drops, Stream(taps, agreed.packets()) as stream:
            for change in changes:
                done.changes[change] += 1
                begun = time.monotonic()
                at_work.make(change)
                spans.append((change, begun, time.monotonic()))
                stream.let_pass(20)
        at_work.close()
        for f in stream.flown:
            to, during = agreed.expected(f.sent), _during(spans, f.until)
            words = f"{f.sent} should arrive at {to or 'nowhere'}, came to {sorted(f.came)}, {during}"
            if to and not f.came and _restored_at(spans, f.at):
                done.lost.append(words)
            elif f.came != ({to} if to else set()):
                done.wrong.append(f"{words}; {drops}")
    done.packets, done.arrived = len(stream.flown), sum(bool(f.came) for f in stream.flown)
    return done


def _restored_at(spans: list[tuple[str, float, float]], at: float) -> bool:
    """Whether a restore was at work; one that came just before may still have been under way when it began."""
    return any(c == "restore" and begun - 0.02 * slowness() <= at <= ended for c, begun, ended in spans)


def _during(spans: list[tuple[str, float, float]], at: float) -> str:
    """The last change before that, and how long it had been begun."""
    last = [f"{change} ({at - begun:.3f} s of {ended - begun:.3f})" for change, begun, ended in spans if begun <= at]
    return last[-1] if last else "none yet"


class Changes:
    """Makes one after the other; policies alternate, by `apply` itself or by its act alone in a warm process."""

    def __init__(self, made: WireHost, binary: Path, policies: list[dict[str, Any]]) -> None:
        self._made, self._binary, self._policies = made, binary, policies
        self._in_force = 0
        self._warm: subprocess.Popen[str] | None = None

    def make(self, change: str) -> None:
        made = self._made
        assert made.agent is not None
        if change == "apply":
            self._in_force = 1 - self._in_force
            made.apply(self._policies[self._in_force])
        elif change == "swap":
            if self._warm is None:
                self._plan()
            self._in_force = 1 - self._in_force
            self._ask(f"swap {self._in_force}")
        elif change == "restore":
            assert tool(made.lab, "restore").returncode == 0
        elif change == "agent dies":
            made.agent.kill(signal.SIGKILL)
            made.agent.restart()
        elif change == "update":
            new = made.lab.path(PLUGINS, ".calico.new")
            shutil.copy(self._binary, new)
            new.rename(made.lab.path(PLUGINS, "calico"))
            self._visit()  # of which the agent learns that it is to end; systemd starts the next one
            made.agent.ended()
            made.agent.restart()
        elif change == "visit":
            self._visit()
        else:
            raise ValueError(change)

    def _visit(self) -> None:
        self._made.add("visitor", "eth0", "passing-by")
        self._made.delete("visitor/eth0")

    def _plan(self) -> None:
        """What each of the two policies changes of the other, compiled once."""
        argv = self._made.lab.command(sys.executable, str(_SWAPS), cwd=str(Path.cwd()))
        pipe = subprocess.PIPE
        self._warm = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=environment())
        for _ in self._policies:
            other = 1 - self._in_force
            self._made.write(self._policies[other])
            self._ask(f"plan {other}")
            self.make("apply")

    def _ask(self, line: str) -> None:
        assert self._warm is not None
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.write(f"{line}\n")
        self._warm.stdin.flush()
        assert self._warm.stdout.readline().strip().isdecimal(), line

    def close(self) -> None:
        if self._warm is not None:
            self._warm.communicate(timeout=60)
