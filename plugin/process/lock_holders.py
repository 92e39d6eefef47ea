"""Files that are locked in; which processes have them for themselves, by /proc/locks, and in words, out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from calico_rkt.plugin.process.proc_stat import fields_of

_LOCKS, _PROC = Path("/proc/locks"), Path("/proc")
_SHOWN = 120


class Lock(NamedTuple):
    """A line of /proc/locks: a lock of flock() that a process has, or waits for."""

    file: str
    pid: int
    kind: str
    waits: bool


def holders(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    """(path, process) of each lock that a process has for itself; those of which this one may not know are missing."""
    known = {file: path for path in paths if (file := _file(path))}
    for lock in _locks():
        if lock.file in known and lock.kind == "WRITE" and not lock.waits:
            yield known[lock.file], lock.pid


def _file(path: str) -> str:
    """How /proc/locks names a file; empty where there is none."""
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - loaded by an ADD that waits in vain
        return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return ""


def _locks() -> list[Lock]:
    found = []
    with suppress(OSError):
        for line in _LOCKS.read_text().splitlines():
            words = line.split()[1:]
            waits = words[:1] == ["->"]
            words = words[waits:]
            if len(words) > 4 and words[0] == "FLOCK":
                found.append(Lock(words[4], int(words[3]), words[2], waits))
    return found


def command_of(pid: int) -> str:
    """What a process was started as, or that it can't be seen."""
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return " ".join(words.split())[:_SHOWN]
    return "which can't be seen from here"


def in_words(path: str) -> str:
    """Who holds it now, and whom they wait for; who was stopped, and what to do then; empty where nobody is seen."""
    locks, told = _locks(), set[int]()
    return "; ".join(_told(_file(path), "process {} holds it", locks, told))


def _told(file: str, how: str, locks: Sequence[Lock], told: set[int]) -> Iterator[str]:
    """Words of each process that has this lock, and of those that it waits for; each is told once, and not this one."""
    for pid in sorted({lock.pid for lock in locks if lock.file == file and not lock.waits} - told):
        told.add(pid)
        is_own = pid == os.getpid()
        if not is_own:
            yield f"{how.format(pid)}: {command_of(pid)}{_stopped(pid)}"
        further = "another call here holds it, and waits for process {}" if is_own else "that one waits for process {}"
        for other in sorted({lock.file for lock in locks if lock.pid == pid and lock.waits} - {file}):
            yield from _told(other, further, locks, told)


def _stopped(pid: int) -> str:
    with suppress(OSError, IndexError):
        if fields_of(pid)[0] in "Tt":
            return f"; it is stopped: kill -CONT {pid} lets it go on, kill -KILL {pid} ends it"
    return ""
