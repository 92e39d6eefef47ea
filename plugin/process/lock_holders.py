"""Files that are locked in; which processes have them for themselves, by /proc/locks, and in words, out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_LOCKS, _PROC = Path("/proc/locks"), Path("/proc")
_SHOWN = 120


def holders(paths: Iterable[str], kinds: tuple[str, ...] = ("WRITE",)) -> Iterator[tuple[str, int]]:
    """(path, process) of each lock that is held; processes of which this one may not know are missing."""
    known: dict[str, str] = {}
    for path in paths:
        with suppress(OSError):
            found = os.stat(path)  # noqa: PTH116 - loaded by an ADD that waits in vain
            known[f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"] = path
    with suppress(OSError):
        for line in _LOCKS.read_text().splitlines():
            words = line.split()  # of who waits the second one is "->"
            if len(words) > 5 and words[1] == "FLOCK" and words[3] in kinds and words[5] in known:
                yield known[words[5]], int(words[4])


def command_of(pid: int) -> str:
    """What a process was started as, or that it can't be seen."""
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return " ".join(words.split())[:_SHOWN]
    return "which can't be seen from here"


def in_words(path: str) -> str:
    """Who holds it now, whether it was stopped, and what to do then; empty where nobody is seen to hold it."""
    found = sorted({pid for _, pid in holders([path], ("WRITE", "READ")) if pid != os.getpid()})
    return "; ".join(f"process {pid} holds it: {command_of(pid)}{_stopped(pid)}" for pid in found)


def _stopped(pid: int) -> str:
    with suppress(OSError, IndexError):
        state = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        if state in "Tt":
            return f"; it is stopped: kill -CONT {pid} lets it go on, kill -KILL {pid} ends it"
    return ""
