"""A Store in, whoever sees to the policy of its endpoints out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.compiler.typed import Protocol
from calico_rkt.plugin.enforce.nftables import NftablesEnforcer
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Store


class Enforcer(Protocol):
    """What becomes of the policy of a store's endpoints. On one host that is our table, in a cluster it is Felix.

    An ADD calls check_host, gateways, add, group, settle, attach, release, in this order; a DEL detach and forget_flows
    under guard. All errors are CniError.
    """

    def check_host(self, conf: NetConf, /) -> None:
        """Refuse a network that this host can't have, such as one whose range covers a net of the host's own."""

    def gateways(self) -> Mapping[int, Address]:
        """The next hops of this host's containers, by IP version, where they are not the usual ones."""

    def add(self, conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address], /) -> Endpoint:
        """Record the endpoint with its addresses: Store.add(), and what has to be published before it."""

    def add_plain(
        self, conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address], /
    ) -> Endpoint | None:
        """The same in one step for what is new and has nothing to be asked first; None, and nothing done, else."""

    def settle(self, conf: NetConf, endpoint: Endpoint, exposed: Collection[Address], /) -> tuple[Address, ...]:
        """Forget flows of former holders of its addresses, before its link is up; what release() is to be given."""

    def attach(self, conf: NetConf, endpoint: Endpoint, /) -> None:
        """Have the network's policy enforced on the endpoint, before its link is up."""

    def attach_again(self, conf: NetConf, endpoint: Endpoint, /) -> None:
        """The same for an endpoint that was attached, whose link is up."""

    def group(self, conf: NetConf, /) -> int:
        """The device group that its host ends are born in; 0 for none."""

    def release(self, kept_back: Collection[Address], /) -> None:
        """Take away what settle() kept these addresses back with."""

    def guard(self) -> AbstractContextManager[None]:
        """Held while an endpoint is taken away, until its record is."""

    def detach(self, endpoint: Endpoint, /) -> None:
        """Take away what enforces its policy; its link is gone."""

    def forget_flows(self, endpoint: Endpoint, /) -> None:
        """Forget its flows, where others may have its addresses next."""

    def check(self, conf: NetConf, endpoint: Endpoint, /) -> list[str]:
        """What is not as ADD left it, in words."""

    def usable(self, conf: NetConf, /) -> None:
        """CniError where an ADD to this network would fail for its policy or for who enforces it."""


def enforcer_of(store: Store) -> Enforcer:
    """Who sees to policy where this store is."""
    if isinstance(store, LocalStore):
        return NftablesEnforcer(store)
    # Here, not above: an ADD of this host's own datastore has nothing of clusters to import.
    from calico_rkt.plugin.enforce.felix import FelixEnforcer
    from calico_rkt.plugin.store.clustered import ClusterStore

    if isinstance(store, ClusterStore):
        return FelixEnforcer(store)
    raise TypeError(f"nobody enforces what is in a {type(store).__name__}")
