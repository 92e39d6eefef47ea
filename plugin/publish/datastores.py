"""Confs in, the datastores that they name out: the host's own and each cluster, with what a command does to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish import local
from calico_rkt.plugin.publish.local import NONE, Change, Files, State
from calico_rkt.plugin.store.local import LocalStore, open_local
from calico_rkt.plugin.store.protocol import Profiles

if TYPE_CHECKING:
    from calico_rkt.plugin.store.clustered import ClusterStore


LOCAL = "local"
"""The name of the host's own side."""


@dataclass(frozen=True, slots=True)
class Local:
    """The host's own datastore and the confs of its networks."""

    store: LocalStore
    known: dict[str, NetConf]
    name: str = LOCAL
    datastore_type: str = LOCAL
    files: Files = field(default_factory=dict)

    @property
    def profiles(self) -> Profiles:
        return self.store

    def plan(self, wanted: Collection[str]) -> tuple[Change, ...]:
        return local.plan(self.store, self.known, wanted, self.files)

    def apply(self, changes: Sequence[Change]) -> None:
        local.apply(self.store, changes)

    def put_in_force(self) -> bool:
        """See local.put_in_force()."""
        return local.put_in_force(self.store)

    def states(self) -> tuple[State, ...]:
        return local.states(self.store, self.known, self.files)

    def prune(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
        return local.prune(self.store, dry_run=dry_run)

    def finish_releases(self) -> tuple[str, ...]:
        """What was noted to be given back, and is now, in words: nothing ever is here."""
        return ()

    def waiting(self) -> tuple[str, ...]:
        """What still waits to be given back, in words."""
        return ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Calico cluster and the confs of its networks; name is its members' URLs."""

    store: ClusterStore
    known: dict[str, NetConf]
    name: str
    datastore_type: str = "etcdv3"
    files: Files = field(default_factory=dict)

    @property
    def profiles(self) -> Profiles:
        return self.store.profiles

    def plan(self, wanted: Collection[str]) -> tuple[Change, ...]:
        from calico_rkt.plugin.publish import cluster

        return cluster.plan(self.store, self.known, wanted, self.files)

    def apply(self, changes: Sequence[Change]) -> None:
        from calico_rkt.plugin.publish import cluster

        cluster.apply(self.store, changes)

    def states(self) -> tuple[State, ...]:
        from calico_rkt.plugin.publish import cluster

        return cluster.states(self.store, self.known, self.files)

    def prune(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
        from calico_rkt.plugin.publish import cluster

        return cluster.prune(self.store, dry_run=dry_run)

    def finish_releases(self) -> tuple[str, ...]:
        """What was noted to be given back, and is now, in words."""
        done = [
            f"finished the release of {r.key.network} {r.key.container} {r.key.ifname}"
            for r in self.store.finish_releases(every=True)
        ]
        swept = self.store.sweep()
        return (*done, *([f"freed {swept} addresses that no endpoint has"] if swept else ()))

    def waiting(self) -> tuple[str, ...]:
        """What still waits to be given back, in words."""
        return tuple(self.store.waiting())

    def warnings(self) -> tuple[str, ...]:
        """What of the cluster is not as the confs would have it, and what of ours there can't be read, in words."""
        from calico_rkt.plugin.publish import cluster

        self.store.endpoints()
        return (*cluster.warnings(self.store, self.known, self.files), *self.store.damaged)


Side = Local | Cluster


def tried(act: Callable[[], int]) -> int:
    """An act on one of several datastores: its exit status. What fails is printed, and keeps no other from its turn."""
    try:
        return act()
    except CniError as e:
        complain(e)
        return 2


def complain(error: CniError) -> None:
    """Say on stderr what went wrong, and go on."""
    print("\n".join(filter(None, (f"calico-rkt: {error.msg}", error.details.rstrip("\n")))), file=sys.stderr)


@contextmanager
def opened_local(known: Mapping[str, NetConf], files: Files = NONE) -> Iterator[Local]:
    """The host's own side; an apply that was cut short is completed first."""
    store = open_local()
    try:
        local.finish_apply(store)
        yield Local(store, {n: c for n, c in known.items() if c.datastore_type == "local"}, files=files)
    finally:
        store.close()


def clusters(known: Mapping[str, NetConf]) -> tuple[dict[str, NetConf], ...]:
    """The confs of each cluster that some name, put together by its members, our user and this node's name."""
    found: dict[object, dict[str, NetConf]] = {}
    for name, conf in known.items():
        if conf.datastore_type != "local":
            from calico_rkt.plugin.store.access import access_of, node_name

            found.setdefault((conf.datastore_type, access_of(conf), node_name(conf)), {})[name] = conf
    return tuple(found.values())


@contextmanager
def opened_cluster(known: dict[str, NetConf], files: Files = NONE) -> Iterator[Cluster]:
    """One cluster's side; known are its confs."""
    from calico_rkt.plugin.store.clusters import open_cluster

    conf = next(iter(known.values()))
    store = open_cluster(conf)
    try:
        old = " (etcd v2)" if conf.datastore_type == "etcdv2" else ""
        yield Cluster(store, known, ", ".join(store.access.endpoints) + old, files=files)
    finally:
        store.close()
