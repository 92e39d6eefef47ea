"""What every datastore can do for the attach path and for the profile lifecycle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net
from calico_rkt.compiler.typed import Protocol
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Endpoint, Key, Published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.bundle.resources import IPPool, WorkloadEndpoint

_IFNAME = re.compile(r"[A-Za-z0-9_.\-]{1,15}\Z")


def checked_ifname(name: object) -> str:
    """A recorded interface's name, as the kernel takes it; ValueError for anything else."""
    if not isinstance(name, str) or not _IFNAME.match(name):
        raise ValueError(f"{name!r} is no name of an interface")
    return name


class BrokenEndpointError(CniError):
    """An endpoint of ours in a cluster that does not say whose it is or what it has."""


class DamagedRecordError(CniError):
    """A record of an attachment can't be read: discard() is what is left."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What can still be told of a damaged record: its namespace's path, and device and inode of that and of its host's.

    Zeros and an empty text where that can't be read. lends: another ipam plugin gave it addresses, or may have.
    """

    netns: str
    place: tuple[int, int]
    home: tuple[int, int]
    lends: bool


class Store(Protocol):
    """A datastore. All errors are CniError; nothing here touches links or nftables."""

    run_dir: Path
    """The folder of this host's locks."""
    datastore: str
    """The data model, as a conf's datastore_type names it."""
    link_prefix: str
    """What the names of host ends begin with."""
    damaged: dict[str, None]
    """What this store met that can't be read and was left out, in words, once each."""

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

    def discard(self, key: Key) -> None:
        """Forget an attachment whose record can't be read, and free what it held as far as that can be told."""

    def remains(self, key: Key) -> Remains:
        """What can be told of an attachment whose record can't be read."""

    def forget(self, key: Key) -> bool:
        """Free what the datastore has of an attachment that this host has no record of; False when it has nothing."""

    def endpoints(self, network: str | None = None) -> tuple[Endpoint, ...]:
        """All endpoints of this host, or of one network."""

    def ranges(self) -> tuple[Net, ...]:
        """The subnets of every network that this host has served."""

    def close(self) -> None:
        """Let go of files and connections."""


class Profiles(Protocol):
    """The published profiles of a datastore."""

    def published(self, network_id: str) -> Published | None:
        """The profile in force, its digest verified against its rules; CniError when it does not fit."""

    def published_ids(self) -> tuple[str, ...]:
        """The ids of all that this program published, sorted, unverified."""


class ClusterProfiles(Profiles, Protocol):
    """The profiles of a cluster. Those that this program published carry their digest; others are never changed."""

    def published(self, network_id: str) -> Published | None:
        """The profile in force; CniError 106 where it is not one of ours, or was edited."""

    def published_ids(self) -> tuple[str, ...]:
        """The ids of all profiles that this program published, sorted, whatever became of them since."""

    def stored(self, network_id: str) -> tuple[str, int]:
        """What stands there, edited or not, for people to read, and its revision."""

    def create(self, profile: Published) -> str:
        """Publish a network's first profile; the digest of the one that is there afterwards, "" of a stock one."""

    def swap(self, changes: Sequence[tuple[Published, int]]) -> bool:
        """Put all these in force, where each still has the revision given (0: there is none); or none."""

    def prunable_ids(self) -> tuple[str, ...]:
        """published_ids(), and those of which only a part was published: what delete_unused() may take."""

    def delete_unused(self, network_id: str, *, dry_run: bool) -> bool:
        """Delete a profile, or a part of one, that no endpoint is under."""

    def endpoint_counts(self) -> dict[str, int]:
        """How many endpoints of the whole cluster are under each profile."""


class Inventory(Protocol):
    """What a bundle can have of a cluster: its pools and endpoints. An attachment never asks."""

    def pools(self) -> tuple[IPPool, ...]:
        """The pools that this program made, by their names."""

    def endpoints(self) -> tuple[WorkloadEndpoint, ...]:
        """The endpoints that this program made, on every node."""

    def stands_in(self, pool: IPPool) -> str:
        """What the cluster has in the place of a pool, in words; empty where it is free. CniError: it can't be."""

    def create(self, pool: IPPool) -> bool:
        """Make the pool where its place is free; whether it was made."""
