"""An endpoint and its conf in; the endpoint in Calico's datastore, under its network's profile, out.

The counterpart of enforce/nftables for clusters: there it is Felix that enforces what is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.plugin.enforce import felix_chains
from calico_rkt.plugin.enforce.compiled import compile_published
from calico_rkt.plugin.enforce.subnets import refuse_covering
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.model import Endpoint, Published
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.clustered import ClusterStore, NoProfileError

_ATTEMPTS = 10
"""How often a network's first profile is published anew that somebody deletes at the same moment."""
_CALICO_S_OWN = ("cali", "tunl0", "vxlan", "wireguard.cali", "wg-v6.cali")
"""Beginnings of the names of interfaces that Calico gives addresses of its pools."""


@dataclass(frozen=True, slots=True)
class FelixEnforcer:
    """The Enforcer of a cluster: Felix, on this host and on the others."""

    store: ClusterStore

    def guard(self) -> AbstractContextManager[None]:
        """Nothing here is enforced by this host's own table, so nothing has to hold still."""
        return nullcontext()

    def check_host(self, conf: NetConf) -> None:
        """Refuse where Felix is not there, too."""
        _require_felix(conf)
        known = set(self.store.ranges())
        fresh = [r for ranges in conf.ipam.ranges for r in ranges if r.subnet not in known]
        refuse_covering(conf.name, fresh, besides=_CALICO_S_OWN)

    def add(self, conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """The first endpoint of a network publishes its default profile before."""
        for _ in range(_ATTEMPTS):
            try:
                return self.store.add(endpoint, ipam, requested)
            except NoProfileError:
                _publish_default(self.store, conf)  # prune elsewhere may take it away before the endpoint is under it
        raise CniError(Code.TRY_AGAIN, f"the profile of network {conf.name!r} was deleted {_ATTEMPTS} times meanwhile")

    def add_plain(
        self, _conf: NetConf, _endpoint: Endpoint, _ipam: Ipam, _requested: Sequence[Address]
    ) -> Endpoint | None:
        """Never: the cluster is asked after this host's own records."""

    def gateways(self) -> Mapping[int, Address]:
        return self.store.gateways()

    def settle(self, _conf: NetConf, _endpoint: Endpoint, _exposed: Collection[Address]) -> tuple[Address, ...]:
        """Nothing to forget: DEL did, and Calico's own routes keep packets from addresses that nobody has."""
        return ()

    def release(self, _kept_back: Collection[Address]) -> None:
        """Nothing was kept back."""

    def forget_flows(self, endpoint: Endpoint) -> None:
        """Others than this host may give the address out next: forget its flows now."""
        pair.forget_flows(endpoint.addresses)

    def attach(self, _conf: NetConf, _endpoint: Endpoint) -> None:
        """All is done: Felix enforces what add() stored."""

    def attach_again(self, _conf: NetConf, _endpoint: Endpoint) -> None:
        """The same."""

    def group(self, _conf: NetConf) -> int:
        """None: Felix goes by names."""
        return 0

    def detach(self, _endpoint: Endpoint) -> None:
        """Felix takes away what it has as soon as the endpoint is out of the datastore."""

    def check(self, conf: NetConf, endpoint: Endpoint) -> list[str]:
        """Whether Felix is there, too."""
        problems = self.store.differs(endpoint)
        try:
            _require_felix(conf)
        except CniError as e:
            problems.append(e.msg)
        return problems

    def usable(self, conf: NetConf) -> None:
        _require_felix(conf)
        if not self.store.is_published(conf.name):
            _default_profile(conf)


def _require_felix(conf: NetConf) -> None:
    if not conf.require_felix:
        return
    versions = {r.subnet.version for ranges in conf.ipam.ranges for r in ranges} or {4}
    without = felix_chains.missing(versions)
    if without:
        chain = "felix-FORWARD" if conf.datastore_type == "etcdv2" else "cali-FORWARD"
        raise CniError(
            Code.TRY_AGAIN,
            f"Felix does not police IPv{without[0]} on this host: a container would be open to everybody",
            f'start calico/node and wait for its chain {chain}; "require_felix": false goes on without',
        )


def _publish_default(store: ClusterStore, conf: NetConf) -> None:
    new = _default_profile(conf)
    there = store.profiles.create(new)
    if there not in ("", new.digest):
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"another host published the profile of network {conf.name!r} at the same moment, with other rules",
            f"here the files compile to {new.digest}, there to {there}; calico-rkt apply settles it",
        )
    LOG.info("the profile of network %s is published: %s", conf.name, there or "by somebody else")


def _default_profile(conf: NetConf) -> Published:
    """The bare default, which any host may publish; CniError where the files of this one want something else."""
    from calico_rkt.compiler.targets.felix import JUDGED

    bare = compile_published(conf, files={})
    if compile_published(conf, felix=JUDGED).digest != bare.digest:  # it is not this that would be published
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"network {conf.name!r} has rules of its own on this host, but nothing is published in the cluster yet",
            "calico-rkt apply publishes them: a cluster's policy does not depend on which host starts first",
        )
    return bare
