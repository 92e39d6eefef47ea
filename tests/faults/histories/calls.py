"""The next call of a history in: one, several at once by runtimes that differ, or one ended at an effect; done, out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from calico_rkt.plugin.errors import Code
from tests.clients.support.caller import Reply
from tests.clients.support.lab import PLUGINS, environment, variables
from tests.faults.histories.model import NAMES, Is, Model
from tests.faults.host import WEB
from tests.faults.supervisor import Plan

name = st.sampled_from(NAMES)
OTHER_FOLDER = "/opt/other/bin"
RUNTIMES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "containerd": (PLUGINS, "1.1.0", ()),
    "podman": (OTHER_FOLDER, "0.4.0", ("unshare", "-m", "--propagation", "unchanged")),
    "rkt": (PLUGINS, "0.4.0", ("setsid",)),
}
"""Each with its plugins' folder, the CNI version that it speaks, and what its calls run in."""
Call = tuple[str, str, str]
"""Verb, container, runtime."""


class Calls(Model):
    """What runtimes ask."""

    def call(self, verb: str, one: str, runtime: str = "containerd", **conf: Any) -> Reply:
        folder, version, before = RUNTIMES[runtime]
        if folder == OTHER_FOLDER:
            self.host.lab.out(
                "sh",
                "-ec",
                f"mkdir -p {folder}; cp {PLUGINS}/calico {folder}/.{one}; mv {folder}/.{one} {folder}/calico",
            )
        own = variables(verb, one) if one else {"CNI_COMMAND": verb}
        done = self.host.lab.run(
            *before,
            *self.clock.before,
            f"{folder}/calico",
            stdin=json.dumps({**WEB, "cniVersion": version, **conf}).encode(),
            env=environment({**own, "CNI_PATH": folder, **self.clock.environment}),
        )
        reply = Reply(done.returncode, done.stdout, done.stderr)
        self.said_well(reply)
        return reply

    def revive(self, *names: str) -> None:
        """Who is to be attached has a namespace."""
        for one in names:
            if self.known[one] is Is.DEAD:
                self.host.netns(one)

    @rule(one=name)
    def add(self, one: str) -> None:
        self.did("ADD")
        self.revive(one)
        self.settles("ADD", one, self.call("ADD", one))

    @rule(one=name)
    def delete(self, one: str) -> None:
        self.did("DEL")
        self.settles("DEL", one, self.call("DEL", one))

    @rule(one=name)
    def check(self, one: str) -> None:
        self.did("CHECK")
        reply = self.call("CHECK", one)
        if self.known[one] is Is.ATTACHED:
            reply.succeeded()
        elif self.known[one] is Is.ABSENT:
            reply.refused(3)

    @rule(listed=st.sets(name))
    def gc_of_a_runtime(self, listed: set[str]) -> None:
        """What it does not list goes, but only what is dead: another runtime's containers live on."""
        self.did("GC")
        valid = [{"containerID": one, "ifname": "eth0"} for one in sorted(listed)]
        reply = self.call("GC", "", **{"cni.dev/valid-attachments": valid})
        assert self.full or not reply.status, reply
        if not reply.status:
            self.freed(*(one for one in NAMES if one not in listed))

    def freed(self, *names: str) -> None:
        """Those of them that are dead."""
        for one in names:
            if self.known[one] is Is.DEAD:
                self.host.netns(one)
                self.known[one] = Is.ABSENT

    @rule()
    def status(self) -> None:
        self.did("STATUS")
        reply = self.call("STATUS", "")
        assert self.full or not reply.status, reply

    @rule(one=name, verb=st.sampled_from(("ADD", "DEL")), at=st.integers(0, 170))
    def cut_short(self, one: str, verb: str, at: int) -> None:
        if self.known[one] is Is.DEAD or self.full or self.stopped:
            return
        self.did("a call killed at an effect")
        reply, _ = self.host.call(verb, one, Plan(at))
        if reply.status == 0:
            self.known[one] = Is.ATTACHED if verb == "ADD" else Is.ABSENT
        elif self.known[one] is not (Is.ABSENT if verb == "DEL" else Is.ATTACHED):
            self.known[one] = Is.EITHER

    @precondition(lambda self: not self.full)
    @rule(
        asked=st.lists(
            st.tuples(st.sampled_from(("ADD", "DEL", "CHECK")), name, st.sampled_from(tuple(RUNTIMES))),
            min_size=2,
            max_size=4,
            unique_by=lambda call: call[1],
        )
    )
    def at_once(self, asked: list[Call]) -> None:
        self.did("calls of several runtimes at once")
        self.together(asked)

    def together(self, asked: list[Call]) -> None:
        """Calls about different containers, at the same time."""
        self.revive(*(one for verb, one, _ in asked if verb == "ADD"))
        before = dict(self.known)
        with ThreadPoolExecutor(len(asked)) as threads:
            replies = list(threads.map(lambda call: self.call(*call), asked))
        for (verb, one, _), reply in zip(asked, replies, strict=True):
            if verb != "CHECK":
                self.settles(verb, one, reply, Code.TRY_AGAIN)
            elif before[one] is Is.ATTACHED:
                assert reply.status == 0, reply
            elif before[one] is Is.ABSENT:
                reply.refused(3)
