from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from calico_rkt.plugin.process.child import ChildEndedError, done_by_child
from tests.leftovers import children


def test_what_the_child_gave_comes_whole():
    assert done_by_child(lambda: b"") == b""
    assert done_by_child(lambda: b"x" * (3 << 20)) == b"x" * (3 << 20)
    assert done_by_child(lambda: str(os.getppid()).encode()) == str(os.getpid()).encode()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (os.abort, "signal 6"),
        (lambda: os._exit(3), "status 3"),
        (lambda: os._exit(0), "status 0"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9"),
        (lambda: 1 / 0, "status 1"),
    ],
    ids=["aborts", "exits", "exits well", "is killed", "fails"],
)
def test_its_end_is_an_error_and_ends_nobody_else(end, words):
    def work() -> bytes:
        end()
        return b"never"

    before = children()
    with pytest.raises(ChildEndedError, match=words):
        done_by_child(work)
    assert children() == before, "it was waited for"


def test_an_answer_that_was_cut_is_none():
    def work() -> bytes:
        os.write(3, b"half")
        os.abort()

    with pytest.raises(ChildEndedError, match="signal 6"):
        done_by_child(work)


def test_it_keeps_nothing_of_its_parent_s_open():
    kept, other = os.pipe()
    try:

        def work() -> bytes:
            own = Path("/proc/self/fd")
            streams = [str((own / str(fd)).readlink()) for fd in (0, 1, 2)]
            return " ".join([*streams, *(str(fd) for fd in (kept, other) if (own / str(fd)).exists())]).encode()

        assert done_by_child(work) == b"/dev/null /dev/null /dev/null"
    finally:
        os.close(kept)
        os.close(other)


def test_who_ignores_his_children_is_told_all_the_same():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert done_by_child(lambda: b"there") == b"there"
        with pytest.raises(ChildEndedError):
            done_by_child(os.abort)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGCHLD, before)
