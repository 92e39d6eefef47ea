"""A cluster in, what of it is ours out, and pools brought in: for export and import."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from calico_rkt.compiler.bundle.resources import IPPool, WorkloadEndpoint
from calico_rkt.compiler.bundle.write import pool_spec
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.store.addresses import within
from calico_rkt.plugin.store.clustered import until_done
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import Kv, absent, get_prefix, put, untouched_since
from calico_rkt.plugin.store.etcd3.resources import (
    OUR_POOLS,
    encode_resource,
    endpoint_resource,
    envelope,
    nonce_of,
    notes_of,
    pool_resource,
    resource,
    section,
    texts,
)
from calico_rkt.plugin.store.statefile import boot_id


class Etcd3Inventory:
    """The pools and endpoints of a cluster."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def pools(self) -> tuple[IPPool, ...]:
        """The pools that this program made, by their names."""
        return tuple(p for p in self._every_pool()[0] if p.name.startswith(OUR_POOLS))

    def endpoints(self) -> tuple[WorkloadEndpoint, ...]:
        """The endpoints that this program made, on every node."""
        found = self._gateway.read(get_prefix(keys.EVERY_ENDPOINT)).found[0]
        return tuple(document(of) for of in (resource(kv.value) for kv in found) if nonce_of(of))

    def stands_in(self, pool: IPPool) -> str:
        """What the cluster has in the place of a pool, in words; empty where it is free. CniError: it can't be."""
        return _stands_in(pool, self._every_pool()[0])

    def create(self, pool: IPPool) -> bool:
        """Make the pool where its place is free; whether it was made."""
        key = keys.POOLS + pool.name

        def attempt() -> bool | None:
            pools, revision = self._every_pool()
            if _stands_in(pool, pools):
                return False
            made = {**envelope("IPPool", pool.name, datetime.now(UTC)), "spec": pool_spec(pool)}
            # Calico has no two pools that overlap, so none may have come to be since they were read.
            compares = [absent(key), untouched_since(keys.POOLS, revision)]
            return self._gateway.txn(compares, [put(key, encode_resource(made))]).succeeded or None

        return until_done(attempt, f"to write IPPools than to make {pool.name}")

    def _every_pool(self) -> tuple[tuple[IPPool, ...], int]:
        answer = self._gateway.read(get_prefix(keys.POOLS))
        return tuple(p for p in map(_pool, answer.found[0]) if p is not None), answer.revision


def local_pool(subnet: str, *, nat: bool) -> IPPool:
    """The pool that a subnet of this host's own datastore is in a cluster."""
    of = pool_resource(ip_network(subnet), datetime.now(UTC), nat=nat)
    return _read(of["metadata"]["name"], of["spec"])


def local_document(endpoint: Endpoint, node: str) -> WorkloadEndpoint:
    """An endpoint of this host's own datastore as Calico would know it."""
    return document(endpoint_resource(endpoint, node, boot_id(), datetime.now(UTC)))


def document(of: Mapping[str, Any]) -> WorkloadEndpoint:
    """A WorkloadEndpoint of ours without what a datastore makes anew."""
    metadata, spec = section(of, "metadata"), section(of, "spec")
    return WorkloadEndpoint(
        name=str(metadata.get("name", "")),
        node=str(spec.get("node", "")),
        container=str(spec.get("containerID", "")),
        interface=str(spec.get("endpoint", "")),
        host_interface=str(spec.get("interfaceName", "")),
        mac=str(spec.get("mac", "")),
        addresses=texts(spec, "ipNetworks"),
        profiles=texts(spec, "profiles"),
        namespace=str(metadata.get("namespace") or keys.NAMESPACE),
        orchestrator=str(spec.get("orchestrator") or keys.ORCHESTRATOR),
        labels=tuple(sorted(section(metadata, "labels").items())),
        annotations=tuple(sorted(notes_of(of).items())),
    )


def _stands_in(pool: IPPool, pools: tuple[IPPool, ...]) -> str:
    for there in pools:
        if there == pool:
            return "is there"
        if there.cidr == pool.cidr:
            named = "" if there.name == pool.name else f", called {there.name}"
            return f"is there with other settings, and stays as it is{named}"
        if there.name == pool.name:
            raise CniError(
                Code.INVALID_CONF,
                f"IPPool {pool.name} is {there.cidr} there, and {pool.cidr} here",
                "give one of them another name, or take it out of the file",
            )
        if within(pool.cidr, there.cidr):
            return f"lies in IPPool {there.name} ({there.cidr}), and addresses come from that"
        if within(there.cidr, pool.cidr):
            raise CniError(
                Code.INVALID_CONF,
                f"IPPool {pool.name} ({pool.cidr}) would cover IPPool {there.name} ({there.cidr})",
                "pools can't overlap: take it out of the file, or delete the smaller one when nothing uses it",
            )
    return ""


def _pool(kv: Kv) -> IPPool | None:
    of = resource(kv.value)
    try:
        return _read(str(section(of, "metadata")["name"]), section(of, "spec"))
    except (KeyError, ValueError, TypeError):
        return None  # Calico can't use it either


def _read(name: str, spec: Mapping[str, Any]) -> IPPool:
    """What the resource says; false and empty are what Calico makes of nothing said."""
    return IPPool(
        name,
        ip_network(spec["cidr"]),
        nat_outgoing=spec.get("natOutgoing") or None,
        block_size=spec.get("blockSize") or None,
        ipip_mode=spec.get("ipipMode") or None,
        vxlan_mode=spec.get("vxlanMode") or None,
        disabled=spec.get("disabled") or None,
        disable_bgp_export=spec.get("disableBGPExport") or None,
        node_selector=spec.get("nodeSelector") or None,
        namespace_selector=spec.get("namespaceSelector") or None,
        allowed_uses=tuple(spec.get("allowedUses") or ()),
        assignment_mode=spec.get("assignmentMode") or None,
    )
