"""An endpoint in, who keeps its network namespace alive, out: looks through /proc, at leisure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.plugin.link.netns import identity
from calico_rkt.plugin.link.ways_into import PROC, descriptors, mount_namespace, mounted_at, pids
from calico_rkt.plugin.model import Endpoint

_SHOWN = 3


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
    for pid in pids():
        who = f"process {pid} ({_name(pid)})"
        if identity(f"{PROC}/{pid}/ns/net") == wanted:
            inside.append(who)
        elif any(identity(path) == wanted for path in descriptors(pid)):
            opened.append(who)
        mounts = mount_namespace(pid)
        if mounts not in looked_at:
            looked_at.add(mounts)
            for place in mounted_at(pid, inode):
                mounted.setdefault(place, f"{place} of {who}")
    return Holders(tuple(inside), tuple(mounted.values()), tuple(opened))


def _few(who: tuple[str, ...]) -> tuple[str, ...]:
    return who if len(who) <= _SHOWN else (*who[:_SHOWN], f"{len(who) - _SHOWN} more")


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"{PROC}/{pid}/comm").read_text(errors="replace").strip()
    return "gone"
