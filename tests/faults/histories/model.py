"""A host in; what a history knows of it, and that kernel, records and packets are the same after each step, out.

The model knows of each container whether it is attached, not attached, or either (who attached it was ended).
"""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from enum import Enum
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from calico_rkt.plugin.errors import Code
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, Reply
from tests.clients.support.lab import PLUGINS, environment
from tests.faults.histories.clock import Clock
from tests.faults.host import CLOSED, WEB, WatchedHost
from tests.faults.packets import WATCHERS

NAMES = ("a", "b", "c")
_NUMBERS = itertools.count()
ROOMY = "for folder in /run /var/lib /var/log; do mount -o remount,size=256m $folder; done"


class Is(Enum):
    """What the model knows of a container's attachment."""

    ABSENT = "absent"
    ATTACHED = "attached"
    EITHER = "either"
    DEAD = "dead"
    """Its namespace went without a DEL."""


class Model(RuleBasedStateMachine):
    """One history on a host that all of them share, until one of them leaves it broken."""

    binary: Path
    made: WatchedHost | None = None
    steps = 0
    acts: Counter[str]
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
        cls.made.lab.out("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # where a false clock leaves files

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
        self.clock = Clock(self.host.lab)
        self.cni = Caller(self.host.lab)
        for one in NAMES:
            self.host.netns(one)

    # For the acts. What may come next depends on what was drawn alone, and on nothing that a busy machine may change:
    # else a history could not be tried again.

    def did(self, act: str) -> None:
        """Count it, for the figures."""
        self.acts[act] += 1

    def path(self, one: str) -> str:
        return f"/var/run/netns/{one}"

    def tool(self, *argv: str) -> int:
        done = self.host.lab.run(
            *self.clock.before, f"{PLUGINS}/calico", *argv, env=environment(self.clock.environment)
        )
        self.said_well(Reply(done.returncode, done.stdout, done.stderr))
        return done.returncode

    def restores(self) -> bool:
        """A restore that does what is its to do: host ends that went with their containers are named, and gc's."""
        status = self.tool("restore")
        return status == 0 or (status == 1 and Is.DEAD in self.known.values())

    def said_well(self, reply: Reply) -> None:
        for stream in (reply.stdout, reply.stderr):
            assert b"Traceback" not in stream, reply
            assert b"internal error" not in stream, reply

    def settles(self, verb: str, one: str, reply: Reply, *codes: int) -> None:
        """What is known after an ADD or a DEL; codes: those of a refusal that are right, though the disk has room."""
        if reply.status:
            refused = reply.refused()["code"]
            assert refused != Code.INTERNAL, reply
            assert self.full or refused in codes, reply
            sure = Is.ATTACHED if verb == "ADD" else Is.ABSENT
            if self.known[one] is not sure:
                self.known[one] = Is.EITHER if verb == "DEL" or self.known[one] is not Is.ABSENT else Is.ABSENT
        elif verb == "ADD":
            answer = reply.json
            assert self.host.answers([ip["address"].partition("/")[0] for ip in answer["ips"]]), answer
            self.known[one] = Is.ATTACHED
        else:
            if self.known[one] is Is.DEAD:
                self.host.netns(one)
            self.known[one] = Is.ABSENT

    @property
    def has_agent(self) -> bool:
        return self.agent is not None and self.agent.is_running()

    def end_agent(self) -> None:
        if self.agent is not None and self.agent.process is not None and self.agent.is_running():
            os.kill(self.agent.pid, signal.SIGKILL)
            self.agent.process.send_signal(signal.SIGCONT)  # nsenter stopped with its child
            self.agent.ended()
        self.agent, self.stopped = None, False

    # What holds after each step

    @invariant()
    def as_the_model_has_it(self) -> None:
        if not hasattr(self, "known"):
            return
        type(self).steps += 1
        assert not any(self.host.passed().values()), f"open: {self.host.passed()}"
        rows = [r for r in self.host.look()["rows"] if " endpoint " in r]
        recorded = {r.split('"')[3] for r in rows} - {"first"}
        sure = {one for one, what in self.known.items() if what in (Is.ATTACHED, Is.DEAD)}
        may = sure | {one for one, what in self.known.items() if what is Is.EITHER}
        assert sure <= recorded <= may, f"recorded {recorded}, the model has {self.known}"

    def teardown(self) -> None:
        """Back to where every history begins, which is a claim of its own: all of it can be taken back."""
        if not hasattr(self, "known"):
            return
        self.clock.right()
        if self.full:
            self.host.lab.out("sh", "-ec", ROOMY)
            self.full = False
        self.end_agent()
        for one in NAMES:
            self.host.helper("DEL", WEB, one, self.path(one))
            self.host.senders.drop(one)
            self.host.lab.run("ip", "netns", "del", one)
        self.host.lab.override("web", CLOSED)
        assert self.tool("restore") == 0
        assert self.tool("apply", "--yes") == 0
        left = {kind: lines for kind, lines in self.host.look().items() if kind in ("links", "rows")}
        assert len([x for x in left["links"] if x.startswith("crk")]) == 1, left
        assert len([r for r in left["rows"] if " endpoint " in r]) == 1, left
        type(self).broken = False
