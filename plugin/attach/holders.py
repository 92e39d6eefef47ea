"""A network namespace in, who keeps it alive, and a path into it, out: looks through /proc, at leisure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.plugin.attach.life import identity
from calico_rkt.plugin.model import Endpoint

_PROC = "/proc"
_SHOWN = 3
_NSFS = re.compile(r" net:\[(\d+)\] (\S+) .* - nsfs ")


@dataclass(frozen=True, slots=True)
class Holders:
    """inside: processes that run in it. Others hold it without being there: by a mount, or by a descriptor."""

    inside: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()

    def __str__(self) -> str:
        kinds = (("in it:", self.inside), ("mounted at", self.mounted), ("held open by", self.opened))
        found = [f"{what} {', '.join(_few(who))}" for what, who in kinds if who]
        return "; ".join(found) or "nothing in /proc says what holds it"


def holders_of(endpoint: Endpoint) -> Holders:
    """Who keeps the endpoint's network namespace; processes of which this one may not know are missing."""
    wanted, inode = (endpoint.netns_dev, endpoint.netns_inode), endpoint.netns_inode
    inside: list[str] = []
    opened: list[str] = []
    mounted: dict[str, str] = {}
    looked_at: set[str] = set()
    for pid in _pids():
        who = f"process {pid} ({_name(pid)})"
        if identity(f"{_PROC}/{pid}/ns/net") == wanted:
            inside.append(who)
        elif any(identity(path) == wanted for path in _descriptors(pid)):
            opened.append(who)
        mounts = _link(f"{_PROC}/{pid}/ns/mnt")
        if mounts not in looked_at:
            looked_at.add(mounts)
            for place in _mounts(pid, inode):
                mounted.setdefault(place, f"{place} of {who}")
    return Holders(tuple(inside), tuple(mounted.values()), tuple(opened))


def way_into(namespace: tuple[int, int]) -> str:
    """A path to a network namespace by its device and inode, whoever keeps it; empty where /proc shows none."""
    pids = tuple(_pids())
    for path in (f"{_PROC}/{pid}/ns/net" for pid in pids):
        if identity(path) == namespace:
            return path
    looked_at: set[str] = set()
    for pid in pids:
        paths = _descriptors(pid)
        mounts = _link(f"{_PROC}/{pid}/ns/mnt")
        if mounts not in looked_at:
            looked_at.add(mounts)
            paths += [f"{_PROC}/{pid}/root{place}" for place in _mounts(pid, namespace[1])]
        for path in paths:
            if identity(path) == namespace:
                return path
    return ""


def _few(who: tuple[str, ...]) -> tuple[str, ...]:
    return who if len(who) <= _SHOWN else (*who[:_SHOWN], f"{len(who) - _SHOWN} more")


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"{_PROC}/{pid}/comm").read_text(errors="replace").strip()
    return "gone"


def _link(path: str) -> str:
    with suppress(OSError):
        return str(Path(path).readlink())
    return ""


def _descriptors(pid: int) -> list[str]:
    folder = f"{_PROC}/{pid}/fd"
    with suppress(OSError):
        return [entry.path for entry in os.scandir(folder)]
    return []


def _mounts(pid: int, inode: int) -> list[str]:
    with suppress(OSError):
        text = Path(f"{_PROC}/{pid}/mountinfo").read_text(errors="replace")
        found = (_NSFS.search(line) for line in text.splitlines() if f"net:[{inode}]" in line)
        return [of[2] for of in found if of and int(of[1]) == inode]
    return []
