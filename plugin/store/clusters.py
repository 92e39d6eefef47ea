"""A conf in, the store of the cluster that it names out; only that store's client is imported."""

from __future__ import annotations

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.clustered import ClusterStore


def open_cluster(conf: NetConf) -> ClusterStore:
    """The store of a conf whose datastore_type is not local."""
    if conf.datastore_type == "etcdv3":
        from calico_rkt.plugin.store.etcd3.store import open_etcd3

        return open_etcd3(conf)
    if conf.datastore_type == "etcdv2":
        from calico_rkt.plugin.store.etcd2.store import open_etcd2

        return open_etcd2(conf)
    raise CniError(Code.UNSUPPORTED_FIELD, f"datastore_type {conf.datastore_type!r} is not served")
