"""Work in; what it gave out, done by a child of this process: whatever ends the child, this process goes on.

For libraries in C that abort or exit where they see no way out. The child has this thread's network namespace, and its
end comes with its parent's; of the parent's descriptors it keeps none, so that no pipe or lock waits for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_AT_ONCE = 1 << 20
_LAST = (1 << 31) - 2
_HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
_WHOLE = b"."
"""Behind the last byte of an answer: without it the child ended in the middle."""


class ChildEndedError(Exception):
    """The child ended without an answer, or none could be had; how, in words."""


def done_by_child(work: Callable[[], bytes]) -> bytes:
    """What work gave. It must not wait for a lock of another thread: that one is not there in the child."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()
    try:
        reading, writing = os.pipe()
    except OSError as e:
        raise ChildEndedError(f"no pipe to it: {e.strerror}") from e
    try:
        child = os.fork()
        if child == 0:
            _be_child(libc, parent, writing, work)
    except OSError as e:
        os.close(reading)
        raise ChildEndedError(f"no process can be had: {e.strerror}") from e
    finally:
        os.close(writing)
    try:
        answer = b"".join(iter(lambda: os.read(reading, _AT_ONCE), b""))
    finally:
        os.close(reading)
        status = _ended(child)
    if not answer.endswith(_WHOLE):
        raise ChildEndedError(_words(status))
    return answer[:-1]


def _ended(child: int) -> int:
    with suppress(ChildProcessError):  # whoever started us may ignore its children, and so we do, too
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return 0


def _words(status: int) -> str:
    if status < 0:
        return f"it was ended by signal {-status} ({signal.strsignal(-status)})"
    return f"it ended by itself with status {status}"


def _be_child(libc: ctypes.CDLL, parent: int, writing: int, work: Callable[[], bytes]) -> None:
    try:
        import gc

        gc.disable()  # what it would close is the parent's
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        answering = 3
        os.dup2(writing, answering)
        os.closerange(answering + 1, _LAST)
        nobody = os.open("/dev/null", os.O_RDONLY)
        for fd in range(answering):
            os.dup2(nobody, fd)  # what a library says there is lost, and a new socket is none of these
        left = memoryview(work() + _WHOLE)
        while left:
            left = left[os.write(answering, left) :]
        os._exit(0)
    finally:
        os._exit(1)
