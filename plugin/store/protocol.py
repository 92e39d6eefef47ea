"""What every datastore can do for the attach path and for the profile lifecycle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from calico_rkt.compiler.conf.parse import Address, Ipam, Net

_IFNAME = re.compile(r"[A-Za-z0-9_.\-]{1,15}\Z")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What an attachment is known by: the conf's network name, CNI_CONTAINERID and CNI_IFNAME."""

    network: str
    container: str
    ifname: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One attachment as recorded. nonce is 16 hex digits, new for each ADD; every release compares it.

    netns is the path given at ADD, netns_inode and netns_dev what stat said of it. result is the CNI result of the
    ADD as stored JSON in the newest format, empty until the ADD has finished.
    """

    key: Key
    nonce: str
    netns: str
    netns_dev: int
    netns_inode: int
    host_ifname: str
    mac: str
    addresses: tuple[Address, ...]
    ip_masq: bool = False
    result: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A profile in force: its canonical v3 text, and the digest that its annotation claims.

    revision: the datastore's own count of its changes, where it has one.
    """

    network_id: str
    network: str
    text: str
    digest: str
    revision: int = 0


def checked_ifname(name: object) -> str:
    """A recorded interface's name, as the kernel takes it; ValueError for anything else."""
    if not isinstance(name, str) or not _IFNAME.match(name):
        raise ValueError(f"{name!r} is no name of an interface")
    return name


class Store(Protocol):
    """A datastore. All errors are CniError; nothing here touches links or nftables."""

    run_dir: Path
    """The folder of this host's locks."""
    link_prefix: str
    """What the names of host ends begin with."""

    def endpoint(self, key: Key) -> Endpoint | None:
        """The attachment as this host has recorded it, or None."""

    def add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """Record an endpoint and choose its addresses, in one transaction; returns it with addresses.

        endpoint.addresses, when given (delegated IPAM), are recorded as they are; else one address
        of each range set of ipam is taken, requested ones first. Errors: pool exhausted, address
        outside the pool or taken, key present already.
        """

    def finish(self, key: Key, nonce: str, result: str) -> None:
        """Record the result of a finished ADD."""

    def remove(self, key: Key, nonce: str) -> bool:
        """Forget an endpoint and free its addresses when its nonce is still this one; False otherwise."""

    def forget(self, key: Key) -> bool:
        """Free what the datastore has of an attachment that this host has no record of; False when it has nothing."""

    def endpoints(self, network: str | None = None) -> tuple[Endpoint, ...]:
        """All endpoints of this host, or of one network."""

    def ranges(self) -> tuple[Net, ...]:
        """The subnets of every network that this host has served."""

    def close(self) -> None:
        """Let go of files and connections."""


@runtime_checkable
class Releasing(Protocol):
    """A datastore that may be away when something is given back to it, so that this is noted and done later."""

    def finish_releases(self, *, every: bool = False) -> Sequence[object]:
        """Do what was noted; what there was of it. CniError while the datastore is still away."""


class Profiles(Protocol):
    """The published profiles of a datastore."""

    def published(self, network_id: str) -> Published | None:
        """The profile in force, its digest verified against its rules; CniError when it does not fit."""

    def published_ids(self) -> tuple[str, ...]:
        """The ids of all that this program published, sorted, unverified."""
