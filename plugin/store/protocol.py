"""What every datastore can do for the attach path and for the profile lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calico_rkt.compiler.conf import Address, Ipam, Net


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
    """A profile in force: its canonical v3 text, and the digest that its annotation claims."""

    network_id: str
    network: str
    text: str
    digest: str


class Store(Protocol):
    """A datastore. All errors are CniError; nothing here touches links or nftables."""

    def endpoint(self, key: Key) -> Endpoint | None:
        """The recorded attachment, or None."""

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

    def endpoints(self, network: str | None = None) -> tuple[Endpoint, ...]:
        """All recorded endpoints of this host, or of one network."""

    def ranges(self) -> tuple[Net, ...]:
        """The subnets of every network that this datastore has served, for ipMasq's exemption."""

    def published(self, network_id: str) -> Published | None:
        """The profile in force, its digest verified against its rules; CniError when it does not fit."""

    def publish(self, profile: Published) -> Published:
        """Create the profile when the network has none; returns what is in force afterwards."""

    def close(self) -> None:
        """Let go of files and connections."""
