"""Numbered pieces of work in, what each gives out: by as many processes as there are processors, the same values."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import pickle
import signal
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import IO, TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 4
"""Processes: each may come to hold a copy of what the first one holds."""
_AT_ONCE = 32
"""Pieces that are taken at once, where there are many left."""
_PR_SET_PDEATHSIG = 1


def shared(
    count: int, work: Callable[[int], object], known: Iterable[object], tell: Callable[[int], None]
) -> dict[int, object]:
    """What work gives for the numbers below count, by number; known objects in it stay the very same objects.

    What a process did not come to say, whatever ended it, is missing: who asks does it again, and sees what is wrong
    with it. None of the processes outlives this call. tell is called by the first one, with what it begins.
    """
    processes = max(1, min(len(os.sched_getaffinity(0)), _MOST, count))
    objects = {id(o): o for o in known}
    with _Counter(count, processes) as counter:
        helpers = [_Helper(counter, work, objects) for _ in range(processes - 1)]
        try:
            out: dict[int, object] = {}
            for n in counter.taken():
                tell(n)
                out[n] = work(n)
            for helper in helpers:
                out.update(helper.said())
        finally:
            for helper in helpers:
                helper.end()
    return out


class _Counter:
    """The next number that nobody took, in memory that processes share."""

    def __init__(self, count: int, processes: int) -> None:
        self.count, self.processes = count, processes

    def __enter__(self) -> Self:
        self.file = os.memfd_create("calico-rkt-next")
        os.ftruncate(self.file, 8)
        self.memory = mmap.mmap(self.file, 8)
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()
        os.close(self.file)

    def taken(self) -> Iterator[int]:
        """Numbers that are this process' own."""
        while True:
            with self._locked():
                at = int.from_bytes(self.memory[:8], "little")
                many = max(1, min(_AT_ONCE, (self.count - at) // (8 * self.processes)))
                self.memory[:8] = min(at + many, self.count).to_bytes(8, "little")
            if at >= self.count:
                return
            yield from range(at, at + many)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A lock of the process, not of the open file, which all of them share; the kernel frees a dead one's.
        fcntl.lockf(self.file, fcntl.LOCK_EX, 8)
        try:
            yield
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN, 8)


class _Helper:
    """One more process; it prints nothing, leaves Ctrl-C to the first one, and dies with it."""

    def __init__(self, counter: _Counter, work: Callable[[int], object], objects: dict[int, object]) -> None:
        self.objects = objects
        self.file = os.memfd_create("calico-rkt-said")
        parent = os.getpid()
        try:
            self.pid = os.fork()
        except OSError:  # no more processes or memory: the others do it
            self.pid = 0
            return
        if self.pid == 0:
            self._work(parent, counter, work)

    def _work(self, parent: int, counter: _Counter, work: Callable[[int], object]) -> NoReturn:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                said = BytesIO()
                _Writer(said, self.objects).dump({n: work(n) for n in counter.taken()})
                with os.fdopen(self.file, "wb", closefd=False) as file:
                    file.write(said.getbuffer())
                os._exit(0)
        finally:
            os._exit(1)

    def said(self) -> dict[int, object]:
        """What it found, once it is done; nothing where it failed."""
        if not self.pid:
            return {}
        pid, self.pid = self.pid, 0
        _, status = os.waitpid(pid, 0)
        if status:
            return {}
        with os.fdopen(self.file, "rb", closefd=False) as file:
            file.seek(0)
            found: dict[int, object] = _Reader(file, self.objects).load()
        return found

    def end(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self.file)


class _Writer(pickle.Pickler):
    """Known objects are written as their places in memory, which a forked process shares with the first one."""

    def __init__(self, file: IO[bytes], objects: dict[int, object]) -> None:
        super().__init__(file, protocol=5)
        self.objects = objects

    def persistent_id(self, obj: object) -> int | None:
        return id(obj) if id(obj) in self.objects else None


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], objects: dict[int, object]) -> None:
        super().__init__(file)
        self.objects = objects

    def persistent_load(self, pid: int) -> object:
        return self.objects[pid]
