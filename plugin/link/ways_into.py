"""A network namespace in, a path into it by whoever keeps it alive, out: looks through /proc, at leisure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from calico_rkt.plugin.link.netns import identity

PROC = "/proc"
_NSFS = re.compile(r" net:\[(\d+)\] (\S+) .* - nsfs ")


def way_into(namespace: tuple[int, int]) -> str:
    """A path to a network namespace by its device and inode, whoever keeps it; empty where /proc shows none."""
    found = tuple(pids())
    for path in (f"{PROC}/{pid}/ns/net" for pid in found):
        if identity(path) == namespace:
            return path
    looked_at: set[str] = set()
    for pid in found:
        paths = descriptors(pid)
        mounts = mount_namespace(pid)
        if mounts not in looked_at:
            looked_at.add(mounts)
            paths += [f"{PROC}/{pid}/root{place}" for place in mounted_at(pid, namespace[1])]
        for path in paths:
            if identity(path) == namespace:
                return path
    return ""


def pids() -> Iterator[int]:
    """Every process that /proc shows."""
    return (int(entry.name) for entry in os.scandir(PROC) if entry.name.isdigit())


def mount_namespace(pid: int) -> str:
    """What tells a process's mount namespace from others; empty where that can't be seen."""
    with suppress(OSError):
        return str(Path(f"{PROC}/{pid}/ns/mnt").readlink())
    return ""


def descriptors(pid: int) -> list[str]:
    """The paths of what a process has open."""
    folder = f"{PROC}/{pid}/fd"
    with suppress(OSError):
        return [entry.path for entry in os.scandir(folder)]
    return []


def mounted_at(pid: int, inode: int) -> list[str]:
    """Where a process's mount namespace has the network namespace of this inode, as paths in it."""
    with suppress(OSError):
        text = Path(f"{PROC}/{pid}/mountinfo").read_text(errors="replace")
        found = (_NSFS.search(line) for line in text.splitlines() if f"net:[{inode}]" in line)
        return [of[2] for of in found if of and int(of[1]) == inode]
    return []
