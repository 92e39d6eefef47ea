"""Ceilings of what a plain ADD and DEL cost the warm agent, as counts: they are the same on a busy machine.

Counted is the thread that serves the call, from its connection to its next wait. Who needs more says why, here.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller
from tests.clients.support.lab import Lab, conf, pool, until
from tests.clients.support.strace import names, served

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WARM = 4
CALLS = {"ADD": 60, "DEL": 55}
"""System calls, those that wait among them; eleven of them are the log's at ADD, seven at DEL."""
FUNCTIONS = {"ADD": 630, "DEL": 480}
"""Functions of Python that are entered. Calls come seldom, so each is cold, which costs more than what it does."""
COUNTED = "/run/lab/functions"
PROGRAM = Path(__file__).parent / "support" / "programs" / "count_functions.py"
ASKED = {"ADD": 7, "DEL": 3}
"""Sends to netlink sockets: at ADD the ruleset's generation, what is taken, the pair, what is inside (twice), the
elements, the host's end up; at DEL the generation, the host's end, the elements: another thread takes the link."""


WEB = conf("web", pool("10.1.0.0/24"), cni="1.1.0")


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    return bare_lab


def test_a_plain_add_and_del_stay_below_their_ceilings(lab: Lab, cni: Caller) -> None:
    agent = Agent(lab).start()
    for number in range(WARM):
        cni.add(WEB, f"w{number}", lab.netns(f"w{number}"))
    for number in range(1, WARM):
        cni.delete(WEB, f"w{number}", f"/var/run/netns/w{number}")
    netns = lab.netns("c1")
    trace = lab.path("/run/lab/trace")
    command = ["strace", "-f", "-qq", "-s", "0", "-o", str(trace), "-p", str(agent.pid)]
    strace = subprocess.Popen(command)
    threads = Path(f"/proc/{agent.pid}/task")
    try:
        until(lambda: all("TracerPid:\t0\n" not in s.read_text() for s in threads.glob("*/status")), "strace looks on")
        cni.add(WEB, "c1", netns)
        cni.delete(WEB, "c1", netns)
        until(lambda: len(served(trace.read_text())) >= 2, "both calls are over")
    finally:
        strace.terminate()
        strace.wait()
    assert agent.counted("declined_total") == 0
    for verb, calls in zip(("ADD", "DEL"), served(trace.read_text()), strict=False):
        text = "\n".join(calls)
        looked, locked = text.count("state.log"), len(re.findall(r"^flock\(\d+, LOCK_EX", text, re.MULTILINE))
        asked = len(re.findall(r"^sendto\(\d+, \[", text, re.MULTILINE))
        made = Counter(names(calls))
        assert (looked, locked) == ((2, 3) if verb == "ADD" else (2, 2)), (
            "transactions of the state file, and those that write beside the attachment's lock"
        )
        assert asked <= ASKED[verb], "messages to the kernel"
        assert made.total() <= CALLS[verb], made


def test_a_plain_add_and_del_enter_few_functions(lab: Lab, cni: Caller) -> None:
    agent = Agent(lab, before=("/usr/bin/python3", "-IS", "-Xutf8", str(PROGRAM))).start()
    names = [f"w{number}" for number in range(WARM)]
    for name in names:
        cni.add(WEB, name, lab.netns(name))
    for name in names:
        cni.delete(WEB, name, f"/var/run/netns/{name}")
    assert agent.counted("declined_total") == 0
    until(lambda: len(_entered(lab)) == 2 * WARM, "all are counted")
    for verb, most in FUNCTIONS.items():
        warm = min(number for name, number in _entered(lab) if name == verb)  # the first ones make what others need
        assert 100 < warm <= most, _entered(lab)


def _entered(lab: Lab) -> list[tuple[str, int]]:
    """Verb and number of each call so far; a line comes behind the answer."""
    lines = lab.path(COUNTED).read_text().splitlines()
    return [(verb, int(number)) for verb, number in map(str.split, lines)]
