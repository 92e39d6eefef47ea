"""A Bundle in, one file of Calico v3 resources out: what `calicoctl apply -f` takes, in an order that never changes.

No uid, no resourceVersion and no time: calicoctl compares a resourceVersion with what is there and makes the others
itself (calicoctl/calicoctl/resourcemgr in projectcalico/calico); it reads strictly, so no field may be unknown to it.
Pools stand before profiles and profiles before endpoints, so nothing refers to what comes later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from calico_rkt.compiler.bundle.resources import Bundle, IPPool, WorkloadEndpoint
from calico_rkt.compiler.ir.canonical import API_VERSION
from calico_rkt.compiler.targets.calico_v3.write import scalar, write_calico_v3

_API_NAME = re.compile(r"(projectcalico|calico-rkt)\.org/[a-z][a-z0-9-]*")
Shape = str | int | bool | Sequence[str] | Mapping[str, "Shape"]
SPEC = (
    ("cidr", "cidr"),
    ("vxlanMode", "vxlan_mode"),
    ("ipipMode", "ipip_mode"),
    ("natOutgoing", "nat_outgoing"),
    ("disabled", "disabled"),
    ("disableBGPExport", "disable_bgp_export"),
    ("blockSize", "block_size"),
    ("nodeSelector", "node_selector"),
    ("namespaceSelector", "namespace_selector"),
    ("allowedUses", "allowed_uses"),
    ("assignmentMode", "assignment_mode"),
)
"""An IPPool's fields in calicoctl's order, and what they are called here."""


def write_bundle(bundle: Bundle) -> str:
    """The file's text; empty where there is nothing."""
    documents = [
        *(_pool(p) for p in sorted(bundle.pools, key=lambda p: p.name)),
        *(write_calico_v3(n) for n in sorted(bundle.profiles, key=lambda n: n.id)),
        *(_endpoint(e) for e in sorted(bundle.endpoints, key=lambda e: (e.namespace, e.name))),
    ]
    return "".join(f"---\n{d}" for d in documents)


def pool_spec(pool: IPPool) -> dict[str, Shape]:
    """The spec of the resource: what the pool says, and nothing else."""
    said = ((key, getattr(pool, name)) for key, name in SPEC)
    return {key: str(value) if key == "cidr" else value for key, value in said if value not in (None, ())}


def _pool(pool: IPPool) -> str:
    return _document("IPPool", {"name": pool.name}, pool_spec(pool))


def _endpoint(endpoint: WorkloadEndpoint) -> str:
    metadata: dict[str, Shape] = {"name": endpoint.name, "namespace": endpoint.namespace}
    if endpoint.labels:
        metadata["labels"] = dict(endpoint.labels)
    if endpoint.annotations:
        metadata["annotations"] = dict(endpoint.annotations)
    spec: dict[str, Shape] = {
        "orchestrator": endpoint.orchestrator,
        "node": endpoint.node,
        "containerID": endpoint.container,
        "endpoint": endpoint.interface,
        "ipNetworks": endpoint.addresses,
        "profiles": endpoint.profiles,
        "interfaceName": endpoint.host_interface,
        "mac": endpoint.mac,
    }
    return _document("WorkloadEndpoint", metadata, spec)


def _document(kind: str, metadata: Mapping[str, Shape], spec: Mapping[str, Shape]) -> str:
    whole: dict[str, Shape] = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return "".join(f"{line}\n" for line in _lines(whole, ""))


def _lines(mapping: Mapping[str, Shape], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        name = f"{indent}{_text(key)}:"
        if isinstance(value, Mapping):
            yield name
            yield from _lines(value, indent + "  ")
        elif isinstance(value, bool):
            yield f"{name} {'true' if value else 'false'}"
        elif isinstance(value, str | int):
            yield f"{name} {_text(value)}"
        else:
            yield f"{name} [{', '.join(map(scalar, value))}]"


def _text(value: str | int) -> str:
    """As in a profile's text: the names of Calico's API and of our annotations stand plain."""
    return value if isinstance(value, str) and _API_NAME.fullmatch(value) else scalar(value)
