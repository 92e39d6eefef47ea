"""Claims about who is told to hold a lock."""

from __future__ import annotations

import fcntl
import os

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
