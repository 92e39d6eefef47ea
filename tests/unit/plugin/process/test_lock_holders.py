"""Claims about who is told to hold a lock."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from calico_rkt.plugin.process import lock_holders


def test_a_lock_that_is_held_has_its_process_and_others_have_none(tmp_path):
    held, free = tmp_path / "held", tmp_path / "free"
    free.touch()
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert list(lock_holders.holders([str(held), str(free), str(tmp_path / "none")])) == [(str(held), os.getpid())]
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not list(lock_holders.holders([str(held)])), "shared is not for itself"
    assert not list(lock_holders.holders([str(held)]))


def test_what_can_not_be_told_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_holders, "_LOCKS", tmp_path / "locks")
    assert not lock_holders.in_words(str(tmp_path))
    (tmp_path / "locks").write_text("1: \n2: FLOCK\n1: -> FLOCK ADVISORY WRITE 1 00:00:1 0 EOF\n")
    assert not lock_holders.in_words(str(tmp_path))
    assert lock_holders.command_of(1 << 30) == "which can't be seen from here"


def test_this_process_is_not_told_of_itself(tmp_path):
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not lock_holders.in_words(str(tmp_path / "lock"))


_WAITS = """
import fcntl, sys
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_EX)
print(flush=True)
if sys.argv[2:]:
    fcntl.flock(open(sys.argv[2], "w"), fcntl.LOCK_EX)
sys.stdin.read()
"""


def test_who_holds_a_lock_and_waits_for_another_is_told_with_whom_it_waits_for(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    with ExitStack() as ends:

        def holds(*paths):
            pipe = subprocess.PIPE
            process = ends.enter_context(
                subprocess.Popen([sys.executable, "-c", _WAITS, *map(str, paths)], stdin=pipe, stdout=pipe)
            )
            ends.callback(process.kill)
            process.stdout.readline()
            return process.pid

        root = holds(outer)
        between = holds(inner, outer)
        os.kill(root, signal.SIGSTOP)
        words = ""
        deadline = time.monotonic() + 60
        while not ("; that one" in words and "stopped" in words) and time.monotonic() < deadline:
            words = lock_holders.in_words(str(inner))
    assert words.startswith(f"process {between} holds it: {sys.executable} -c")
    assert f"; that one waits for process {root}: {sys.executable} -c" in words
    assert words.endswith(f"it is stopped: kill -CONT {root} lets it go on, kill -KILL {root} ends it")
    assert words.count("process") == 2
