"""Claims about locks: waited for in turn, and no longer than the call is wanted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process import locks, signals

KEY = Key("web", "c1", "eth0")
HOLDS = """
import fcntl, os, signal, sys
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_EX)
print(flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def held(path):
    """Somebody else's lock: flock() is of the open file, so a descriptor of its own does for a process of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield fd
    finally:
        os.close(fd)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(params=["thread", "no thread"])
def way(request, monkeypatch):
    if request.param == "no thread":
        monkeypatch.setattr(locks, "_MOST_GIVEN_UP", 0)


@pytest.mark.usefixtures("way")
def test_a_waiting_call_ends_when_it_is_asked_to(tmp_path):
    before = descriptors()
    with held(tmp_path / "policy.lock"), signals.watched(lambda: "whoever asked for it has gone"):
        with pytest.raises(CniError) as caught, locks.policy_lock(tmp_path):
            pytest.fail("somebody else holds it")
        assert caught.value.code == Code.TRY_AGAIN
    for _ in range(100):
        if descriptors() == before:
            break
        time.sleep(0.02)
    assert descriptors() == before, "a lock that comes too late is let go"
    with locks.policy_lock(tmp_path):
        pass


@pytest.mark.usefixtures("way")
def test_what_undoes_because_it_was_asked_to_end_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_IN_HASTE", 0.2)
    with (
        held(tmp_path / "policy.lock"),
        signals.watched(lambda: "ended"),
        signals.undoing(),
        pytest.raises(CniError) as caught,
        locks.policy_lock(tmp_path),
    ):
        pytest.fail("somebody else holds it")
    assert caught.value.code == Code.TRY_AGAIN


@pytest.mark.usefixtures("way")
def test_what_undoes_goes_on_waiting(tmp_path):
    with held(tmp_path / "policy.lock") as fd:
        threading.Timer(0.2, fcntl.flock, [fd, fcntl.LOCK_UN]).start()
        with signals.watched(lambda: "ended"), signals.undoing(), locks.policy_lock(tmp_path):
            pass


@pytest.mark.usefixtures("way")
def test_a_lock_that_comes_is_held_alone(tmp_path):
    inside = []

    def work():
        with locks.attachment_lock(tmp_path, KEY):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.002)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not inside
    assert not any(t.is_alive() for t in threads)


@pytest.mark.usefixtures("way")
def test_patience_ends(tmp_path):
    with (
        locks.attachment_lock(tmp_path, KEY),
        pytest.raises(CniError) as caught,
        locks.attachment_lock(tmp_path, KEY, patience=0.2),
    ):
        pytest.fail("it is held")
    assert caught.value.code == Code.TRY_AGAIN


@pytest.mark.usefixtures("way")
def test_all_waits_of_a_call_together_take_no_longer_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_IN_HASTE", 0.1)
    with held(tmp_path / "policy.lock"), held(tmp_path / "flows.lock"), locks.at_most(0.3):
        begun = time.monotonic()
        for lock in (locks.policy_lock, locks.flows_lock, locks.policy_lock):
            with pytest.raises(CniError) as caught, lock(tmp_path):
                pytest.fail("it is held")
            assert caught.value.code == Code.TRY_AGAIN
    assert time.monotonic() - begun < 20, "each wait is not as long as all of them"


@pytest.mark.usefixtures("way")
def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    """Not where no patience is named, and neither what takes something back."""
    monkeypatch.setattr(locks, "ANYBODY", 0.2)
    with held(tmp_path / "policy.lock"):
        for undoing in (contextlib.nullcontext, signals.undoing):
            with undoing(), pytest.raises(CniError) as caught, locks.policy_lock(tmp_path):
                pytest.fail("it is held")
            assert caught.value.code == Code.TRY_AGAIN


def test_who_waits_in_vain_is_told_who_holds_it_and_that_it_is_stopped(tmp_path):
    path = tmp_path / "policy.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS, path], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            with pytest.raises(CniError) as caught, locks.policy_lock(tmp_path, patience=0.1):
                pytest.fail("it is held")
            assert f"process {holder.pid} holds it: {sys.executable}" in caught.value.details
            assert f"it is stopped: kill -CONT {holder.pid}" in caught.value.details
            with (
                signals.watched(lambda: "not done within 60 s"),
                pytest.raises(CniError) as caught,
                locks.policy_lock(tmp_path),
            ):
                pytest.fail("it is held")
            assert caught.value.msg == f"not done within 60 s, while it waited for {path}"
            assert str(holder.pid) in caught.value.details
        finally:
            holder.kill()
