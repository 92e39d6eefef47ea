"""Calico's v3 resources as JSON in and out: Profile, WorkloadEndpoint, IPPool.

Others may have written more into a resource than is known here; what is not changed is kept.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.ir.canonical import ANNOTATION_DIGEST, ANNOTATION_NETWORK
from calico_rkt.compiler.ir.ids import object_id, segment_id
from calico_rkt.plugin.errors import Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.blocks import parse_address, rfc3339
from calico_rkt.plugin.store.protocol import BrokenEndpointError, checked_ifname

ANNOTATION_CONTAINER = "calico-rkt.org/container"
ANNOTATION_IFNAME = "calico-rkt.org/interface"
ANNOTATION_NONCE = "calico-rkt.org/attachment"
ANNOTATION_NETNS = "calico-rkt.org/netns"
ANNOTATION_NETNS_ID = "calico-rkt.org/netns-id"
OUR_POOLS = "calico-rkt-"
"""What the names of the IPPools that this program makes begin with."""
DEFAULT_BLOCK = {4: 26, 6: 122}
"""Prefix lengths of blocks where a pool does not say."""


def resource(data: bytes) -> dict[str, Any]:
    """A stored resource; an empty one where it is no JSON object, as Calico ignores it then."""
    try:
        loaded = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def section(of: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """An object within a resource; an empty one where there is none, whatever stands in its place."""
    for name in names:
        found = of.get(name)
        of = found if isinstance(found, dict) else {}
    return dict(of)


def texts(of: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a list within a resource; none where there is no list, whatever stands in its place."""
    found = of.get(name)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def notes_of(of: Mapping[str, Any]) -> dict[str, str]:
    return {k: v for k, v in section(of, "metadata", "annotations").items() if isinstance(v, str)}


def encode_resource(of: Mapping[str, Any]) -> bytes:
    return json.dumps(of, separators=(",", ":")).encode()


def envelope(kind: str, name: str, now: datetime, **metadata: object) -> dict[str, Any]:
    """A new resource without its spec. Calico updates none that lacks uid or creationTimestamp."""
    head = {"name": name, **({"namespace": metadata.pop("namespace")} if "namespace" in metadata else {})}
    made = {"uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(now)}
    return {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": {**head, **made, **metadata}}


def endpoint_resource(endpoint: Endpoint, node: str, boot: str, now: datetime) -> dict[str, Any]:
    """The WorkloadEndpoint of an attachment. Felix polices it by interfaceName and mac."""
    key = endpoint.key
    labels = {"projectcalico.org/namespace": keys.NAMESPACE, "projectcalico.org/orchestrator": keys.ORCHESTRATOR}
    ours = {
        ANNOTATION_NETWORK: key.network,
        ANNOTATION_CONTAINER: key.container,
        ANNOTATION_IFNAME: key.ifname,
        ANNOTATION_NONCE: endpoint.nonce,
        ANNOTATION_NETNS: endpoint.netns,
        ANNOTATION_NETNS_ID: f"{boot} {endpoint.netns_dev} {endpoint.netns_inode}",
    }
    name = keys.endpoint_name(node, key.container, key.ifname)
    made = envelope("WorkloadEndpoint", name, now, namespace=keys.NAMESPACE, labels=labels, annotations=ours)
    spec = {
        "orchestrator": keys.ORCHESTRATOR,
        "node": node,
        "containerID": segment_id(key.container),
        "endpoint": segment_id(key.ifname),
        "ipNetworks": [f"{a}/{a.max_prefixlen}" for a in endpoint.addresses],
        "profiles": [object_id(key.network)],
        "interfaceName": endpoint.host_ifname,
        "mac": endpoint.mac,
    }
    return {**made, "spec": spec}


def nonce_of(of: Mapping[str, Any]) -> str:
    """The nonce of the attachment that a WorkloadEndpoint is; empty when it is none of ours."""
    return notes_of(of).get(ANNOTATION_NONCE, "")


def read_endpoint(of: Mapping[str, Any], boot: str) -> Endpoint | None:
    """The attachment that a WorkloadEndpoint of ours is; None for others'. Of another boot, its netns is gone.

    BrokenEndpointError for one of ours that does not say all that it has to.
    """
    notes, spec = notes_of(of), section(of, "spec")
    if not notes.get(ANNOTATION_NONCE):
        return None
    booted, _, place = notes.get(ANNOTATION_NETNS_ID, "").partition(" ")
    dev, _, inode = place.partition(" ")
    here = booted == boot and dev.isdecimal() and inode.isdecimal()
    try:
        return Endpoint(
            key=Key(notes[ANNOTATION_NETWORK], notes[ANNOTATION_CONTAINER], notes[ANNOTATION_IFNAME]),
            nonce=notes[ANNOTATION_NONCE],
            netns=notes.get(ANNOTATION_NETNS, ""),
            netns_dev=int(dev) if here else -1,
            netns_inode=int(inode) if here else -1,
            host_ifname=checked_ifname(spec.get("interfaceName")),
            mac=str(spec.get("mac", "")),
            addresses=tuple(parse_address(text) for text in spec.get("ipNetworks") or ()),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        name = section(of, "metadata").get("name")
        why = f"it lacks {e}" if isinstance(e, KeyError) else str(e)
        raise BrokenEndpointError(Code.DATASTORE, f"Calico's endpoint {name} is ours and can't be read: {why}") from e


def profile_network(network_id: str, data: bytes) -> str:
    """The network that a stored profile is for; stock Calico's profiles have its name alone."""
    return notes_of(resource(data)).get(ANNOTATION_NETWORK, network_id)


def profile_digest(data: bytes) -> str:
    """The digest that a stored profile claims; empty when this program never published it."""
    return notes_of(resource(data)).get(ANNOTATION_DIGEST, "")


@dataclass(frozen=True, slots=True)
class Etcd3Pool:
    """An IPPool. problem says why no address may be taken from it, empty when one may.

    selector: the nodes that it is for where an ADD does not name it, which ADDs here always do; empty is all.
    """

    name: str
    net: Net
    block: int
    nat: bool
    problem: str = ""
    enabled: bool = True
    selector: str = ""


@lru_cache(maxsize=64)
def read_pool(data: bytes) -> Etcd3Pool | None:
    """The pool; None where it is no pool that Calico could use either."""
    of = resource(data)
    spec, metadata = section(of, "spec"), section(of, "metadata")
    try:
        net = ip_network(spec["cidr"])
        size = int(spec.get("blockSize") or DEFAULT_BLOCK[net.version])
        uses = [str(use) for use in spec.get("allowedUses") or ["Workload"]]
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    problem = ""
    off = bool(spec.get("disabled") or metadata.get("deletionTimestamp"))
    refused = _why_not_allocatable(of)
    if off:
        problem = "it is disabled"
    elif refused:
        problem = f"Calico gives no addresses out of it ({refused})"
    elif "Workload" not in uses:
        problem = f"it is not allowed for use 'Workload' (allowedUses: {', '.join(uses)})"
    return Etcd3Pool(
        str(metadata.get("name", "")),
        net,
        size,
        bool(spec.get("natOutgoing")),
        problem,
        enabled=not (off or refused),
        selector=str(spec.get("nodeSelector") or ""),
    )


def _why_not_allocatable(of: Mapping[str, Any]) -> str:
    """The reason of a pool's condition that says that no address may be taken from it; empty without one."""
    found = section(of, "status").get("conditions")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and (one.get("type"), one.get("status")) == ("Allocatable", "False"):
            return str(one.get("reason") or one.get("message") or "Allocatable: False")
    return ""


def pool_resource(net: Net, now: datetime, *, nat: bool) -> dict[str, Any]:
    """The pool that a conf's subnet becomes where the cluster has none for it, with calicoctl's defaults."""
    name = OUR_POOLS + str(net).replace(":", "-").replace("/", "-")
    spec: dict[str, Any] = {
        "cidr": str(net),
        "vxlanMode": "Never",
        "ipipMode": "Never",
        **({"natOutgoing": True} if nat else {}),
        "blockSize": max(DEFAULT_BLOCK[net.version], net.prefixlen),
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }
    return {**envelope("IPPool", name, now), "spec": spec}


def reserved(data: Sequence[bytes]) -> tuple[Net, ...]:
    """The nets of all IPReservations."""
    found = []
    for one in data:
        texts = section(resource(one), "spec").get("reservedCIDRs")
        for text in texts if isinstance(texts, list) else ():
            try:
                found.append(ip_network(text, strict=False))
            except (ValueError, TypeError):
                continue
    return tuple(found)
