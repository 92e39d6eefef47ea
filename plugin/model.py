"""Values that every room shares: what an attachment is known by, an endpoint as recorded, a profile in force."""

from __future__ import annotations

from collections.abc import Iterable

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.values import dataclass

CLUSTER_PREFIX = "cali"
"""What the names of host ends begin with on a cluster: Felix knows them by it."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What an attachment is known by: the conf's network name, CNI_CONTAINERID and CNI_IFNAME."""

    network: str
    container: str
    ifname: str

    def __str__(self) -> str:
        """NETWORK/CONTAINER/IFNAME, as people name it: `gc --attachment`."""
        return f"{self.network}/{self.container}/{self.ifname}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One attachment as recorded. nonce is 16 hex digits, new for each ADD; every release compares it.

    netns is the path given at ADD, netns_inode and netns_dev what stat said of it. result is the CNI result of the
    ADD as stored JSON in the newest format, empty until the ADD has finished. home is the network namespace that the
    host end was made in, device and inode; members and node are the cluster's. All three are empty where a record lacks
    them: an older program made it.
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
    home: tuple[int, int] = (0, 0)
    members: tuple[str, ...] = ()
    node: str = ""


def only_begun(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    """The names of the networks of which no ADD among these has finished: what they need may not be there yet."""
    found: dict[str, bool] = {}
    for e in endpoints:
        found[e.key.network] = found.get(e.key.network, False) or bool(e.result)
    return frozenset(name for name, finished in found.items() if not finished)


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
