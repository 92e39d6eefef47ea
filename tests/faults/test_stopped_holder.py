"""Somebody who holds a lock of ours was stopped: calls and commands say so in bounds, and hang for no runtime."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_rkt.plugin.errors import Code
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, Reply
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until, variables
from tests.faults.holder import LOCKS, Holder

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

WEB = conf("web", pool("10.1.0.0/24"), cni="1.1.0")
CALLS, COMMANDS = 120.0, 240.0
"""Seconds until a call, or a command, is taken for one that hangs; they wait for a lock for half of it.

kubelet waits 120 to 240; who waits for a lock is no work for the processor.
"""


@pytest.fixture
def labs(binary: Path) -> Iterator[dict[str, Lab]]:
    """A host for each lock: the waits of all are one."""
    with contextlib.ExitStack() as ends:
        made: dict[str, Lab] = {}
        for number, lock in enumerate(LOCKS):
            made[lock] = Lab(binary, f"calico-rkt-lab-{os.getpid()}-held{number}")
            ends.callback(made[lock].close)
            made[lock].write("/etc/cni/net.d/web.conf", json.dumps(WEB))
        yield made


def begun(lab: Lab, verb: str, name: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    argv = lab.command(f"{PLUGINS}/calico")
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(variables(verb, name)))
    assert process.stdin is not None
    process.stdin.write(json.dumps(WEB).encode())
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: subprocess.Popen[bytes], until_: float) -> Reply:
    try:
        out, err = process.communicate(timeout=max(1.0, until_ - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("it hangs") from None
    return Reply(process.returncode, out, err)


_OF_CHECK = (Code.UNKNOWN_CONTAINER, Code.CHECK_FAILED)
"""The DEL beside it was first or half done, or the restore was rebuilding the table behind its gate at that moment."""


class Beside:
    """Calls and commands that were begun on a host where a lock of ours has a stopped holder."""

    def __init__(self, lab: Lab, lock: str, *, agent: bool) -> None:
        self._lab, self._lock, self._cni = lab, lock, Caller(lab)
        for name in ("there", "new"):
            lab.netns(name)
        self._cni.add(WEB, "there", "/var/run/netns/there")
        self._warm = Agent(lab).start() if agent else None
        self._holder = Holder(lab, lock, ("there", "new"), stopped=True)
        self.end = functools.cache(self._holder.end)
        self._begun = time.monotonic()
        self._calls = {(v, n): begun(lab, v, n) for v, n in (("ADD", "new"), ("CHECK", "there"), ("DEL", "there"))}
        self._commands = {
            words: subprocess.Popen(
                lab.command(f"{PLUGINS}/calico", *words),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
            )
            for words in (("gc",), ("restore",), ("apply", "--yes"))
        }

    def judge(self) -> None:
        replies = {what: ended(process, self._begun + CALLS) for what, process in self._calls.items()}
        told = {what: ended(process, self._begun + COMMANDS) for what, process in self._commands.items()}
        for (verb, _), reply in replies.items():
            if reply.status:
                error = reply.refused(Code.TRY_AGAIN, *(_OF_CHECK if verb == "CHECK" else ()))
                if error["code"] == Code.TRY_AGAIN:
                    assert str(self._holder.pid) in error.get("details", ""), (self._lock, reply)
        for words, reply in told.items():
            assert reply.status in (0, 1, 2), (self._lock, words, reply)
            assert not reply.status or reply.stderr.startswith(b"calico-rkt"), (self._lock, words, reply)
        self.end()
        self._cni.delete(WEB, "new", "/var/run/netns/new")
        self._cni.delete(WEB, "there", "/var/run/netns/there")
        if self._warm is not None:
            assert self._warm.is_running(), self._lock
            self._warm.kill()
        until(lambda: self._lab.left() == {}, "nothing is left")


@pytest.mark.parametrize("agent", [False, True], ids=["alone", "agent"])
def test_a_call_beside_a_stopped_holder_is_done_or_answers_11(labs: dict[str, Lab], agent: bool) -> None:
    with contextlib.ExitStack() as ends:
        beside = [Beside(lab, lock, agent=agent) for lock, lab in labs.items()]
        for each in beside:
            ends.callback(each.end)
        for each in beside:
            each.judge()
