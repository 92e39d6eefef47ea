"""Claims about locks: waited for in turn, and no longer than the call is wanted."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process import locks, signals

KEY = Key("web", "c1", "eth0")


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
