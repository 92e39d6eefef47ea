"""A datastore's name as people give it in, the datastore out: `local`, `etcdv3`, or the URL of a cluster's member."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from calico_rkt.compiler.conf import Ipam, NetConf
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.sides import LOCAL, Cluster, Side, clusters, opened_cluster, opened_local

ETCD3 = "etcdv3"
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Place:
    """A datastore that is not open yet; confs are those that name it, and name is what people call it."""

    name: str
    confs: Mapping[str, NetConf]

    def open(self) -> AbstractContextManager[Side]:
        return _open(self)

    @property
    def members(self) -> frozenset[str]:
        """URLs of a cluster; none of the host's own datastore."""
        return frozenset() if self.name == LOCAL else _members(next(iter(self.confs.values())))


def place(wanted: str, known: Mapping[str, NetConf], option: str) -> Place:
    """The datastore that is meant; without a name the one that the confs name. CniError where that is none, or several.

    option: how people name it on the command line.
    """
    here = Place(LOCAL, {n: c for n, c in known.items() if c.datastore_type == LOCAL})
    there = [Place(", ".join(sorted(_members(next(iter(c.values()))))), c) for c in clusters(known)]
    if wanted == LOCAL:
        return here
    if not wanted:
        found = [*([here] if here.confs or not there else []), *there]
    elif wanted == ETCD3:
        found = there or [_unnamed(os.environ.get("ETCD_ENDPOINTS", ""))]
    elif wanted.startswith(_SCHEMES):
        members = frozenset(_split(wanted))
        found = [p for p in there if p.members & members] or [_unnamed(wanted)]
    else:
        raise CniError(
            Code.INVALID_CONF, f"{option} {wanted!r} is no datastore", f"{LOCAL}, {ETCD3}, or the URL of an etcd member"
        )
    if len(found) > 1:
        names = "; ".join(p.name for p in found)
        raise CniError(
            Code.INVALID_CONF, f"the confs name several datastores: {names}", f"say which one: {option} NAME"
        )
    return found[0]


def same(one: Place, other: Place) -> bool:
    """Whether two names mean one datastore."""
    return one.name == other.name or bool(one.members & other.members)


@contextmanager
def _open(what: Place) -> Iterator[Side]:
    confs = dict(what.confs)
    if what.name == LOCAL:
        with opened_local(confs) as local:
            yield local
        return
    with opened_cluster(confs) as cluster:
        # A conf that was made up here for its URL is no network.
        yield cluster if "" not in confs else Cluster(cluster.store, {}, cluster.name)


def _unnamed(urls: str) -> Place:
    """A cluster that no conf names: TLS files and user come from the environment, as for calicoctl."""
    if not urls:
        raise CniError(
            Code.INVALID_CONF,
            "no conf names an etcd",
            "name a folder with --confs, one of its members by URL, or set ETCD_ENDPOINTS",
        )
    members = tuple(_split(urls))
    conf = NetConf("", "calico", "1.0.0", Ipam("unknown"), datastore_type=ETCD3, etcd_endpoints=members)
    return Place(", ".join(sorted(members)), {"": conf})


def _members(conf: NetConf) -> frozenset[str]:
    from calico_rkt.plugin.store.etcd3.session import access_of

    return frozenset(access_of(conf).endpoints)


def _split(urls: str) -> Iterator[str]:
    return (url.strip().rstrip("/") for url in urls.split(",") if url.strip())
