"""Somebody who holds a lock of ours was stopped: calls and commands say so in bounds, and hang for no runtime."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from calico_rkt.plugin.errors import Code
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, Reply
from tests.clients.support.lab import PLUGINS, STATE, Lab, conf, environment, pool, until, variables
from tests.faults.holder import LOCKS, Holder

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

WEB = conf("web", pool("10.1.0.0/24"), cni="1.1.0")
BOUND = 150.0
"""Seconds; kubelet waits 120 to 240, and who waits for a lock is no work for the processor."""


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    return bare_lab


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


@pytest.mark.parametrize("agent", [False, True], ids=["alone", "agent"])
@pytest.mark.parametrize("lock", LOCKS)
def test_a_call_beside_a_stopped_holder_is_done_or_answers_11(lab: Lab, lock: str, agent: bool) -> None:
    cni = Caller(lab)
    for name in ("there", "new"):
        lab.netns(name)
    cni.add(WEB, "there", "/var/run/netns/there")
    warm = Agent(lab).start() if agent else None
    holder = Holder(lab, lock, ("there", "new"), stopped=True)
    until_ = time.monotonic() + BOUND
    calls = {(v, n): begun(lab, v, n) for v, n in (("ADD", "new"), ("CHECK", "there"), ("DEL", "there"))}
    commands = {
        words: subprocess.Popen(
            lab.command(f"{PLUGINS}/calico", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        for words in (("gc",), ("restore",), ("apply", "--yes"))
    }
    replies = {what: ended(process, until_) for what, process in calls.items()}
    told = {what: ended(process, until_) for what, process in commands.items()}
    for what, reply in replies.items():
        if reply.status:
            error = reply.refused(Code.TRY_AGAIN, *((3,) if what[0] == "CHECK" else ()))
            assert lock == STATE or error["code"] == 3 or str(holder.pid) in error.get("details", ""), reply
    for what, reply in told.items():
        assert reply.status in (0, 2), (what, reply)
        assert not reply.status or reply.stderr.startswith(b"calico-rkt"), (what, reply)
    holder.end()
    cni.delete(WEB, "new", "/var/run/netns/new")
    cni.delete(WEB, "there", "/var/run/netns/there")
    if warm is not None:
        assert warm.is_running()
        warm.kill()
    until(lambda: lab.left() == {}, "nothing is left")
