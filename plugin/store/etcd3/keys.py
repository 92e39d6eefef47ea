"""Calico's names in, etcd keys out (libcalico-go/lib/backend/model, lib/names)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.ir.ids import segment_id

NAMESPACE, ORCHESTRATOR = "default", "cni"
"""What the stock CNI plugin says of containers that are no pods."""

RESOURCES = "/calico/resources/v3/projectcalico.org/"
PROFILES = f"{RESOURCES}profiles/"
POOLS = f"{RESOURCES}ippools/"
RESERVATIONS = f"{RESOURCES}ipreservations/"
ENDPOINTS = f"{RESOURCES}workloadendpoints/{NAMESPACE}/"
EVERY_ENDPOINT = f"{RESOURCES}workloadendpoints/"
HOST_ENDPOINTS = f"{RESOURCES}hostendpoints/"
"""Interfaces of hosts themselves that somebody has put under policy, by profiles, too."""
FELIX = f"{RESOURCES}felixconfigurations/"
NODES = f"{RESOURCES}nodes/"
READY = f"{RESOURCES}clusterinformations/default"
IPAM_CONFIG = "/calico/ipam/v2/config"


def profile(network_id: str) -> str:
    return PROFILES + network_id


def node(name: str) -> str:
    return NODES + name


def endpoint_name(node_name: str, container: str, ifname: str) -> str:
    """A WorkloadEndpoint's name: its segments with every dash doubled, joined with single ones; Calico checks it."""
    segments = (node_name, ORCHESTRATOR, segment_id(container), segment_id(ifname))
    return "-".join(s.replace("-", "--") for s in segments)


def endpoints_of(node_name: str) -> str:
    """The prefix of all endpoints that CNI plugins made on a node."""
    return f"{ENDPOINTS}{node_name.replace('-', '--')}-{ORCHESTRATOR}-"


def handle_id(network: str, container: str) -> str:
    """What Calico's IPAM knows a container's addresses by; all its interfaces on one network share it."""
    return f"{network}.{container}"


def handle(handle_id: str) -> str:
    return f"/calico/ipam/v2/handle/{handle_id}"


def blocks(version: int) -> str:
    return f"/calico/ipam/v2/assignment/ipv{version}/block/"


def block(net: Net) -> str:
    return blocks(net.version) + _dashed(net)


def affinities(node_name: str, version: int) -> str:
    return f"/calico/ipam/v2/host/{node_name}/ipv{version}/block/"


def affinity(node_name: str, net: Net) -> str:
    return affinities(node_name, net.version) + _dashed(net)


@lru_cache(maxsize=256)
def net_of(key: str) -> Net:
    """The net that a block's or an affinity's key ends with."""
    address, _, length = key.rpartition("/")[2].rpartition("-")
    return ip_network(f"{address}/{length}")


def _dashed(net: Net) -> str:
    return str(net).replace("/", "-")
