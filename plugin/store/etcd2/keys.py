"""Names in, the etcd keys of Calico's data model of 2015 out (pycalico/datastore.py, pycalico/ipam.py)."""

from __future__ import annotations

import hashlib
import json

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.model import Key

ORCHESTRATOR = "cni"
"""What calico-cni said of its containers from the end of 2015 on."""

READY = "/calico/v1/Ready"
HOSTS = "/calico/v1/host"
PROFILES = "/calico/v1/policy/profile"
APPLY = "/calico/calico-rkt/apply"
"""An apply that is under way. Felix watches /calico/v1 only."""


def host(node: str) -> str:
    return f"{HOSTS}/{node}"


def addresses_of(node: str) -> str:
    """The folder where calico/node says at which addresses a host speaks BGP."""
    return f"/calico/bgp/v1/host/{node}"


def workload(node: str, container: str) -> str:
    return f"{host(node)}/workload/{ORCHESTRATOR}/{object_id(container)}"


def endpoint(node: str, key: Key) -> str:
    return f"{workload(node, key.container)}/endpoint/{endpoint_id(key)}"


def endpoint_id(key: Key) -> str:
    """32 hex digits, as in 2015. The interface's name is `cali` and the first 11 of them, as it was then, too."""
    joined = json.dumps([key.network, key.container, key.ifname]).encode()
    return hashlib.sha256(joined).hexdigest()[:32]


def is_endpoint(key: str) -> bool:
    """Whether a key below HOSTS is an endpoint: HOSTS/node/workload/orchestrator/workload/endpoint/id."""
    parts = key.removeprefix(f"{HOSTS}/").split("/")
    return len(parts) == 6 and (parts[1], parts[4]) == ("workload", "endpoint")


def profile(network_id: str) -> str:
    return f"{PROFILES}/{network_id}"


def tags(network_id: str) -> str:
    return f"{profile(network_id)}/tags"


def rules(network_id: str) -> str:
    return f"{profile(network_id)}/rules"


def pools(version: int) -> str:
    return f"/calico/v1/ipam/v{version}/pool"


def pool(net: Net) -> str:
    return f"{pools(net.version)}/{dashed(net)}"


def assignments(version: int, pool_name: str) -> str:
    """The folder of a pool's addresses that are taken."""
    return f"/calico/v1/ipam/v{version}/assignment/{pool_name}"


def assignment(pool_name: str, address: Address) -> str:
    return f"{assignments(address.version, pool_name)}/{address}"


def dashed(net: Net) -> str:
    return str(net).replace("/", "-")
