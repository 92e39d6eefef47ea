"""A watched host and a fault in; a CNI call met by it, and its promises held against what is there, out."""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from typing import Any

from calico_rkt.plugin.errors import Code
from tests.clients.support.caller import Reply
from tests.faults.cases import Case
from tests.faults.host import AGENT, KILLED, LAUNCHER, Looked, WatchedHost
from tests.faults.supervisor import KILL, Plan, Watch
from tests.faults.worlds import ETCD3

NO_FAULT = Case(-1, "", "")
_NUMBERS = itertools.count()
_HEARD = 0.3
"""Seconds in which an agent has heard of what went, so that it does not hear it among the effects that are counted."""


class Scenario(ABC):
    """One act, repeatable: prepare() and run() it, judge() what it said and left, and back() to how it was."""

    name = ""

    def __init__(self, host: WatchedHost) -> None:
        self.host = host
        self.base: Looked = host.look()
        self.one = ""
        self.case, self.turn = NO_FAULT, 0

    def fresh(self) -> str:
        self.one = f"{self.name}{next(_NUMBERS)}"
        return self.one

    @abstractmethod
    def prepare(self) -> None: ...

    @abstractmethod
    def run(self, plan: Plan | None) -> tuple[Reply, Watch]: ...

    @abstractmethod
    def judge(self, reply: Reply) -> None: ...

    def try_one(self, case: Case, turn: int) -> bool:
        """Whether the fault came to be; AssertionError where a promise is broken."""
        self.case, self.turn = case, turn
        self.prepare()
        reply, watch = self.run(case.plan)
        if watch.done and (self.host.mode != "agent" or case.act != KILL):
            assert case.act != KILL or reply.status in KILLED, reply
        self.said_well(reply)
        self.judge(reply)
        self.tidy()
        self.same_as_before("after all was taken back")
        assert not any(self.host.passed().values()), f"open: {self.host.passed()}"
        return bool(watch.done)

    def tidy(self) -> None:  # noqa: B027 - most have nothing to do
        """What is there no longer for a container is taken away by people."""

    def ended(self, reply: Reply) -> bool:
        """Whether it died of SIGKILL."""
        return reply.status in KILLED

    def said_well(self, reply: Reply) -> None:
        """Nothing, or one JSON object; an error is one as CNI has it; no traceback."""
        for stream in (reply.stdout, reply.stderr):
            assert b"Traceback" not in stream, reply
        if self.ended(reply):
            assert not reply.stdout or reply.json, reply
        elif reply.status and self.case.kind == "write pipe":
            assert not reply.stdout or reply.refused(), reply
        elif reply.status and self.host.mode == LAUNCHER and self.case.kind == "sendto unix" and self.case.at > 4:
            assert reply.json, reply  # it is said already, and the exit status alone can say that it does not hold
        elif reply.status:
            assert reply.refused()["code"] != Code.INTERNAL, reply

    def waiting(self) -> bool:
        """Whether a release that the cluster could not be told of is in the journal."""
        return any("/journal/" in path for path in self.host.look()["files"])

    def same_as_before(self, when: str) -> None:
        found = self.host.differs(self.base)
        assert not found, f"left {when}: {found}"
        wrong = self.host.world.problems(self.host.dump)
        assert not wrong, f"in the books {when}: {wrong}"


class Add(Scenario):
    """Success means attached, failure means nothing left, and a retry works."""

    name = "add"

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        self.conf = host.world.web

    def prepare(self) -> None:
        if self.host.mode == AGENT and self.host.world is ETCD3:
            self.warm_up()
        self.host.netns(self.fresh())

    def warm_up(self) -> None:
        """The agent's ADD begins with what its one before knew of the cluster, and a fault takes that away."""
        host, name = self.host, f"warm{next(_NUMBERS)}"
        host.netns(name)
        for verb in ("ADD", "DEL"):
            reply, _ = host.call(verb, name)
            assert reply.status == 0, reply
        host.no_netns(name)
        time.sleep(_HEARD)

    def run(self, plan: Plan | None) -> tuple[Reply, Watch]:
        return self.host.call("ADD", self.one, plan, self.conf)

    def judge(self, reply: Reply) -> None:
        host, name = self.host, self.one
        if reply.status == 0:
            self.attached(reply.json)
            return self.detach()
        if not self.ended(reply):
            self.nothing_left()
        if self.turn % 3 == 0:
            answer = host.helper("ADD", self.conf, name, f"/var/run/netns/{name}")
            self.attached(answer)
            self.detach()
        elif self.turn % 3 == 1:
            self.detach()
        else:
            host.no_netns(name)
            host.collect()
        return None

    def nothing_left(self) -> None:
        if self.waiting():
            self.host.collect()
        self.same_as_before("by a failed ADD")

    def attached(self, result: dict[str, Any]) -> None:
        assert "ips" in result, result
        addresses = [ip["address"].partition("/")[0] for ip in result["ips"]]
        assert len(addresses) == len(self.conf["ipam"]["ranges"]), result
        assert self.host.answers(addresses), f"no packets pass: {result}"
        netns = f"/var/run/netns/{self.one}"
        said = self.host.helper("CHECK", self.conf | {"prevResult": result}, self.one, netns)
        assert said is None, said

    def detach(self) -> None:
        self.host.helper("DEL", self.conf, self.one, f"/var/run/netns/{self.one}")
        self.host.no_netns(self.one)


class Del(Scenario):
    """Success means nothing left; after a failure a retry, GC or the next ADD of the same container works."""

    name = "del"

    def prepare(self) -> None:
        self.host.attach(self.fresh())

    def run(self, plan: Plan | None) -> tuple[Reply, Watch]:
        return self.host.call("DEL", self.one, plan)

    def judge(self, reply: Reply) -> None:
        host, name = self.host, self.one
        assert reply.status or not reply.stdout, reply
        if reply.status == 0:
            if self.waiting():
                host.collect()
            self.same_as_before("by a DEL")
            return host.no_netns(name)
        if self.turn % 3 == 0:
            host.detach(name)
        elif self.turn % 3 == 1:
            host.no_netns(name)
            host.collect()
        else:
            answer = host.helper("ADD", host.world.web, name, f"/var/run/netns/{name}")
            assert host.answers([ip["address"].partition("/")[0] for ip in answer["ips"]]), answer
            host.detach(name)
        return None


class Check(Scenario):
    """Whatever becomes of it, nothing changes."""

    name = "check"

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        self.result: dict[str, Any] = {}
        host.stay = 2
        self.result = host.attach(self.fresh())
        self.base = host.look()

    def prepare(self) -> None: ...

    def run(self, plan: Plan | None) -> tuple[Reply, Watch]:
        return self.host.call("CHECK", self.one, plan, self.host.world.web | {"prevResult": self.result})

    def judge(self, reply: Reply) -> None:
        assert not reply.stdout or reply.status, reply
        said = self.host.helper(
            "CHECK", self.host.world.web | {"prevResult": self.result}, self.one, f"/var/run/netns/{self.one}"
        )
        assert said is None, said


class Gc(Scenario):
    """What lives stays, what is dead goes at the latest by the next one."""

    name = "gc"

    def prepare(self) -> None:
        self.host.attach(self.fresh())
        self.host.no_netns(self.one)

    def run(self, plan: Plan | None) -> tuple[Reply, Watch]:
        listed = [{"containerID": "first", "ifname": "eth0"}]
        return self.host.call("GC", "", plan, self.host.world.web | {"cni.dev/valid-attachments": listed})

    def judge(self, reply: Reply) -> None:
        if reply.status == 0:
            if self.waiting():  # as after a DEL: what etcd could not be told is noted
                self.host.collect()
            self.same_as_before("by a GC")
        else:
            self.host.collect()
