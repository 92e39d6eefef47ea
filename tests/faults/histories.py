"""A host in; random histories of calls, commands and mishaps, each held against a model of what has to be there, out.

The model knows of each container whether it is attached, not attached, or either (who attached it was ended). After
every step the kernel and the records say the same as the model, and no packet came through that the policies deny.
"""

from __future__ import annotations

import itertools
import os
import signal
from enum import Enum
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from calico_rkt.plugin.errors import Code
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS
from tests.faults.commands import OPENED
from tests.faults.host import CLOSED, WEB, WatchedHost
from tests.faults.packets import WATCHERS
from tests.faults.supervisor import Plan

NAMES = ("a", "b", "c")
STEPS = 15
_NUMBERS = itertools.count()
_FULL = "mount -o remount,size=$(($(df --output=used -k /run | tail -1)))k /run"
_ROOMY = "mount -o remount,size=256m /run"
_REBOOTED = """
import sqlite3
db = sqlite3.connect("/run/calico-rkt/state.sqlite")
db.execute("UPDATE boot SET id = 'another'")
db.commit()
"""
name = st.sampled_from(NAMES)


class Is(Enum):
    """What the model knows of a container's attachment."""

    ABSENT = "absent"
    ATTACHED = "attached"
    EITHER = "either"
    DEAD = "dead"
    """Its namespace went without a DEL."""


class Histories(RuleBasedStateMachine):
    """One history on a host that all of them share, until one of them leaves it broken."""

    binary: Path
    made: WatchedHost | None = None
    steps = 0
    broken = False

    @property
    def host(self) -> WatchedHost:
        assert self.made is not None
        return self.made

    @classmethod
    def make(cls) -> None:
        cls.end()
        cls.made = WatchedHost(cls.binary, f"calico-rkt-lab-{os.getpid()}-histories{next(_NUMBERS)}")
        cls.made.lab.write("/run/lab/watchers", WATCHERS)

    @classmethod
    def end(cls) -> None:
        made, cls.made = cls.made, None
        if made is not None:
            made.close()

    @initialize()
    def begin(self) -> None:
        if self.broken or self.made is None:
            type(self).make()
        type(self).broken = True  # until its end
        self.known = dict.fromkeys(NAMES, Is.ABSENT)
        self.full = False
        self.agent: Agent | None = None
        self.stopped = False
        self.cni = Caller(self.host.lab)
        for one in NAMES:
            self.host.netns(one)

    def path(self, one: str) -> str:
        return f"/var/run/netns/{one}"

    def tool(self, *argv: str) -> int:
        done = self.host.lab.run(f"{PLUGINS}/calico", *argv)
        assert b"Traceback" not in done.stderr, done
        assert b"internal error" not in done.stderr, done
        return done.returncode

    def end_agent(self) -> None:
        if self.agent is not None and self.agent.process is not None:
            os.kill(self.agent.pid, signal.SIGKILL)
            self.agent.process.send_signal(signal.SIGCONT)  # nsenter stopped with its child
            self.agent.ended()
        self.agent, self.stopped = None, False

    # Calls

    @rule(one=name)
    def add(self, one: str) -> None:
        if self.known[one] is Is.DEAD:
            self.host.netns(one)
        reply = self.cni("ADD", WEB, one, self.path(one))
        if self.full and reply.status:
            assert reply.refused()["code"] != Code.INTERNAL, reply
            self.known[one] = Is.EITHER if self.known[one] in (Is.EITHER, Is.DEAD) else self.known[one]
            return
        answer = reply.succeeded().json
        assert self.host.answers([ip["address"].partition("/")[0] for ip in answer["ips"]]), answer
        self.known[one] = Is.ATTACHED

    @rule(one=name)
    def delete(self, one: str) -> None:
        reply = self.cni("DEL", WEB, one, self.path(one))
        if self.full and reply.status:
            assert reply.refused()["code"] != Code.INTERNAL, reply
            self.known[one] = Is.EITHER if self.known[one] is not Is.ABSENT else Is.ABSENT
            return
        reply.succeeded()
        if self.known[one] is Is.DEAD:
            self.host.netns(one)
        self.known[one] = Is.ABSENT

    @rule(one=name)
    def check(self, one: str) -> None:
        reply = self.cni("CHECK", WEB, one, self.path(one))
        if self.known[one] is Is.ATTACHED:
            reply.succeeded()
        elif self.known[one] is Is.ABSENT:
            reply.refused(3)

    @rule(one=name, verb=st.sampled_from(("ADD", "DEL")), at=st.integers(0, 170))
    def cut_short(self, one: str, verb: str, at: int) -> None:
        if self.known[one] is Is.DEAD or self.full or self.stopped:
            return
        reply, _ = self.host.call(verb, one, Plan(at))
        if reply.status == 0:
            self.known[one] = Is.ATTACHED if verb == "ADD" else Is.ABSENT
        elif self.known[one] is not (Is.ABSENT if verb == "DEL" else Is.ATTACHED):
            self.known[one] = Is.EITHER

    # What people do

    @rule()
    def gc(self) -> None:
        status = self.tool("gc")
        assert self.full or status == 0, "gc failed"
        if status == 0:
            for one, what in self.known.items():
                if what is Is.DEAD:
                    self.host.netns(one)
                    self.known[one] = Is.ABSENT

    @rule(text=st.sampled_from((CLOSED, OPENED)))
    def apply(self, text: str) -> None:
        self.host.lab.override("web", text)
        status = self.tool("apply", "--yes")
        assert self.full or status == 0, "apply failed"

    @rule(what=st.sampled_from((("prune", "--yes"), ("restore",), ("restore", "--if-needed"), ("status",))))
    def command(self, what: tuple[str, ...]) -> None:
        status = self.tool(*what)
        assert self.full or status in (0, 1), what

    # Mishaps

    @rule(one=name)
    def dies(self, one: str) -> None:
        if self.known[one] is Is.ATTACHED:
            self.host.senders.drop(one)
            self.host.lab.out("ip", "netns", "del", one)
            self.known[one] = Is.DEAD

    @rule()
    def flush(self) -> None:
        """Somebody's `nft flush ruleset`, mended by whoever comes next: here by a restore at once."""
        self.host.senders.mind(f"/proc/{self.host.lab.pid}/ns/net")
        with self.host.senders.silent():
            self.host.lab.out("nft", "delete", "table", "inet", "calico_rkt")
        status = self.tool("restore")
        assert self.full or status == 0, "restore failed"
        self.host.senders.mind("")

    @rule(kept=st.booleans())
    def reboot(self, kept: bool) -> None:
        """No container, link, route or table outlives it; /run does on some hosts."""
        if self.full or self.agent is not None:
            return
        lab = self.host.lab
        for one, what in self.known.items():
            if what is not Is.DEAD:
                self.host.senders.drop(one)
                lab.out("ip", "netns", "del", one)
        for link in lab.links():
            if link.startswith("crk"):
                lab.run("ip", "link", "del", link)
        lab.out("sh", "-c", "ip route flush type unreachable; ip -6 route flush type unreachable; nft flush ruleset")
        lab.out("nft", "-f", "/run/lab/watchers")
        if kept:
            lab.out("/usr/bin/python3", "-IS", "-c", _REBOOTED)
        else:
            lab.out("rm", "-rf", "/run/calico-rkt")
        for one in NAMES:
            self.host.netns(one)
            self.known[one] = Is.ABSENT
        self.host.senders.drop("first")
        lab.run("ip", "netns", "del", "first")
        self.host.attach("first")

    @precondition(lambda self: not self.full)
    @rule()
    def fills(self) -> None:
        self.host.lab.out("sh", "-ec", _FULL)
        self.full = True

    @precondition(lambda self: self.full)
    @rule()
    def has_room(self) -> None:
        self.host.lab.out("sh", "-ec", _ROOMY)
        self.full = False
        assert self.tool("restore") == 0

    @precondition(lambda self: self.agent is None and not self.full)
    @rule()
    def agent_comes(self) -> None:
        self.agent = Agent(self.host.lab).start()

    @precondition(lambda self: self.agent is not None)
    @rule()
    def agent_killed(self) -> None:
        self.end_agent()

    @precondition(lambda self: self.agent is not None and not self.stopped)
    @rule()
    def agent_stops(self) -> None:
        assert self.agent is not None
        self.agent.signal(signal.SIGSTOP)
        self.stopped = True

    @precondition(lambda self: self.agent is not None and self.stopped)
    @rule()
    def agent_goes_on(self) -> None:
        assert self.agent is not None
        self.agent.signal(signal.SIGCONT)
        self.stopped = False

    # What holds after each step

    @invariant()
    def as_the_model_has_it(self) -> None:
        if not hasattr(self, "known"):
            return
        type(self).steps += 1
        assert not any(self.host.passed().values()), f"open: {self.host.passed()}"
        rows = [r for r in self.host.look()["rows"] if r.startswith("endpoints")]
        recorded = {r.split("'")[3] for r in rows} - {"first"}
        sure = {one for one, what in self.known.items() if what in (Is.ATTACHED, Is.DEAD)}
        may = sure | {one for one, what in self.known.items() if what is Is.EITHER}
        assert sure <= recorded <= may, f"recorded {recorded}, the model has {self.known}"

    def teardown(self) -> None:
        """Back to where every history begins, which is a claim of its own: all of it can be taken back."""
        if not hasattr(self, "known"):
            return
        if self.full:
            self.has_room()
        self.end_agent()
        for one in NAMES:
            self.host.helper("DEL", WEB, one, self.path(one))
            self.host.senders.drop(one)
            self.host.lab.run("ip", "netns", "del", one)
        self.host.lab.override("web", CLOSED)
        assert self.tool("apply", "--yes") == 0
        left = {kind: lines for kind, lines in self.host.look().items() if kind in ("links", "rows")}
        assert len([x for x in left["links"] if x.startswith("crk")]) == 1, left
        assert len([r for r in left["rows"] if r.startswith("endpoints")]) == 1, left
        type(self).broken = False


def try_histories(histories: type[Histories], number: int, seed: int | None = None) -> None:
    """So many of up to STEPS steps each, and fewer steps where one fails; seed: others than every run tries."""
    machine = histories if seed is None else with_seed(seed)(histories)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=seed is None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def prepared(binary: Path) -> type[Histories]:
    """Histories of hosts of their own; end() is for the caller."""
    return type("HistoriesHere", (Histories,), {"binary": binary})
