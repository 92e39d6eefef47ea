"""A datastore's name as people give it in, the datastore out.

A name is `local`, a cluster's datastore_type (`etcdv3`, `etcdv2`), or the URL of a member of an etcdv3 cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.conf.parse import is_member_url
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.publish.cluster import Cluster
from calico_rkt.plugin.publish.datastores import DatastoreSide, clusters, opened_cluster, opened_local
from calico_rkt.plugin.publish.local import LOCAL

CLUSTERS = ("etcdv3", "etcdv2")
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class NamedDatastore:
    """A datastore that is not open yet: kind is its datastore_type, confs are those that name it."""

    kind: str
    confs: Mapping[str, NetConf]
    members: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.kind} at {', '.join(sorted(self.members))}" if self.members else self.kind

    def open(self) -> AbstractContextManager[DatastoreSide]:
        return _open(self)


def datastore_named(wanted: str, known: Mapping[str, NetConf], option: str) -> NamedDatastore:
    """The datastore that is meant; without a name the one that the confs name. CniError where that is none, or several.

    option: how people name it on the command line.
    """
    here = NamedDatastore(LOCAL, {n: c for n, c in known.items() if c.datastore_type == LOCAL})
    there = [_cluster(confs) for confs in clusters(known)]
    if wanted == LOCAL:
        return here
    if not wanted:
        found = [*([here] if here.confs or not there else []), *there]
    elif wanted in CLUSTERS:
        found = [p for p in there if p.kind == wanted]
        found = found or [_unnamed(wanted, _split(os.environ.get("ETCD_ENDPOINTS", ""), "ETCD_ENDPOINTS"))]
    elif wanted.startswith(_SCHEMES):
        urls = _split(wanted, option)
        found = [p for p in there if p.kind == CLUSTERS[0] and p.members & {*urls}] or [_unnamed(CLUSTERS[0], urls)]
    else:
        names = ", ".join((LOCAL, *CLUSTERS))
        raise CniError(
            Code.INVALID_CONF, f"{option} {wanted!r} is no datastore", f"{names}, or the URL of an etcd member"
        )
    if len(found) > 1:
        names = "; ".join(p.name for p in found)
        raise CniError(Code.INVALID_CONF, f"several datastores are meant: {names}", f"say which one: {option} NAME")
    return found[0]


def same_datastore(one: NamedDatastore, other: NamedDatastore) -> bool:
    """Whether two names mean one datastore."""
    return one.kind == other.kind and (one.kind == LOCAL or bool(one.members & other.members))


@contextmanager
def _open(what: NamedDatastore) -> Iterator[DatastoreSide]:
    confs = dict(what.confs)
    if what.kind == LOCAL:
        with opened_local(confs) as local:
            yield local
        return
    with opened_cluster(confs) as cluster:
        # A conf that was made up here for its URL is no network.
        yield cluster if "" not in confs else Cluster(cluster.store, {}, cluster.name)


def _unnamed(kind: str, members: tuple[str, ...]) -> NamedDatastore:
    """A cluster that no conf names: TLS files and user come from the environment, as for calicoctl."""
    if not members:
        raise CniError(
            Code.INVALID_CONF,
            f"no conf names a datastore of type {kind}",
            "name a folder of confs with -C, one of its members by URL, or set ETCD_ENDPOINTS",
        )
    conf = NetConf("", "calico", "1.0.0", Ipam("unknown"), datastore_type=kind, etcd_endpoints=members)
    (confs,) = clusters({"": conf})  # says so where this version serves no such datastore
    return _cluster(confs)


def _cluster(confs: Mapping[str, NetConf]) -> NamedDatastore:
    from calico_rkt.plugin.store.access import access_of

    first = next(iter(confs.values()))
    return NamedDatastore(first.datastore_type, confs, frozenset(access_of(first).endpoints))


def _split(urls: str, label: str) -> tuple[str, ...]:
    """Members as a conf's etcd_endpoints has them. CniError for what is no URL with host and port."""
    found = tuple(url.strip().removesuffix("/") for url in urls.split(",") if url.strip())
    for url in found:
        if not is_member_url(url):
            raise CniError(
                Code.INVALID_CONF, f"{label} {url!r} is no URL with host and port", "such as http://127.0.0.1:2379"
            )
    return found
