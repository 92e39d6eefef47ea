"""Confs in, the datastores that they name out: the host's own and each cluster, with what a command does to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.changes import NONE, Files, NetworkState, ProfileChange
from calico_rkt.plugin.publish.local import LOCAL, Local
from calico_rkt.plugin.store.local import open_local
from calico_rkt.plugin.store.protocol import Inventory, Profiles, Store

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.felix import Nodes
    from calico_rkt.plugin.publish.cluster import Cluster


class DatastoreSide(Protocol):
    """A datastore and the confs of its networks: Local, or Cluster. Errors are CniError."""

    @property
    def store(self) -> Store: ...
    @property
    def known(self) -> dict[str, NetConf]: ...
    @property
    def name(self) -> str: ...
    @property
    def datastore_type(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def profiles(self) -> Profiles: ...

    def plan(self, wanted: Collection[str] = ()) -> tuple[ProfileChange, ...]:
        """What apply would publish of all networks, or of those wanted."""

    def change_to(self, new: Published) -> ProfileChange | None:
        """What publishing this would change; None where the same is published."""

    def apply(self, changes: Sequence[ProfileChange]) -> None:
        """Publish all changes at once, where everything still is as it was shown."""

    def states(self) -> tuple[NetworkState, ...]:
        """How each network stands that is published or has a conf here."""

    def prune(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
        """Delete published profiles without endpoints; their ids, and what failed."""

    def finish_releases(self) -> tuple[str, ...]:
        """What was noted to be given back, and is now, in words."""

    def waiting(self) -> tuple[str, ...]:
        """What still waits to be given back, in words."""

    def inventory(self) -> Inventory | None:
        """Its pools and endpoints; None where its data model has others than a bundle's."""

    def check_ready(self) -> None:
        """CniError 11 when it does not want to be written to."""

    def felix(self) -> Nodes | None:
        """How Felix may enforce on its nodes; None where no Felix does, or where nothing tells."""

    def say_flows(self, changes: Sequence[ProfileChange], *, ending: bool) -> str:
        """What becomes of the open flows that these changes concern, in words; empty where that is not ours to say."""

    def end_flows(self, networks: Collection[str]) -> int | None:
        """End the open flows that the policy in force denies; how many, None where that is not ours to do."""


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
        side = Local(store, {n: c for n, c in known.items() if c.datastore_type == LOCAL}, files)
        side.finish_apply()
        yield side
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
    from calico_rkt.plugin.publish.cluster import Cluster
    from calico_rkt.plugin.store.clusters import open_cluster

    conf = next(iter(known.values()))
    store = open_cluster(conf)
    store.be_patient()
    try:
        old = " (etcd v2)" if conf.datastore_type == "etcdv2" else ""
        yield Cluster(store, known, ", ".join(store.access.endpoints) + old, files)
    finally:
        store.close()
