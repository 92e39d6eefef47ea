"""A network's id in; the number of the device group that the host ends of its endpoints are born in, out.

The number is a hash, and nothing keeps it: it is the same after a restart, on a host whose state file is gone, for a
network that was pruned and comes back. Two networks of one host with the same number are refused, not told apart
(docs/decisions/088-a-network-is-a-device-group.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache

from calico_rkt.compiler.digest import sha256

NETWORKS = range(1 << 16, 1 << 30)
"""Behind the numbers that people and /etc/iproute2/group use, before those of removals."""
REMOVALS = range(1 << 30, 1 << 31)
"""Groups that links are put into to be removed together (removal.py)."""


@lru_cache(maxsize=1 << 14)
def group_of(network_id: str) -> int:
    """The number of a network's group."""
    found = sha256(f"calico-rkt network {network_id}".encode()).digest()
    return NETWORKS.start + int.from_bytes(found[:8], "big") % len(NETWORKS)


def removal_group() -> int:
    """A random one, since other groups are somebody's."""
    return REMOVALS.start + int.from_bytes(os.urandom(4), "big") % len(REMOVALS)


def clash(network_id: str, others: Iterable[str]) -> str | None:
    """The first other network by id that has the same number; None where none has."""
    mine = group_of(network_id)
    return min((other for other in others if other != network_id and group_of(other) == mine), default=None)
