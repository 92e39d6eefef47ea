"""The values of a bundle: networks' profiles, address pools and endpoints, as one datastore hands them to another."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from calico_rkt.compiler.ir.model import Network

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IPPool:
    """An IPPool with Calico's own fields; None and () are what the resource did not say, and Calico's default."""

    name: str
    cidr: IPv4Network | IPv6Network
    nat_outgoing: bool | None = None
    block_size: int | None = None
    ipip_mode: str | None = None
    vxlan_mode: str | None = None
    disabled: bool | None = None
    disable_bgp_export: bool | None = None
    node_selector: str | None = None
    namespace_selector: str | None = None
    allowed_uses: tuple[str, ...] = ()
    assignment_mode: str | None = None


@dataclass(frozen=True, slots=True)
class WorkloadEndpoint:
    """One interface of one container, as Calico knows it. addresses have their prefix lengths."""

    name: str
    node: str
    container: str
    interface: str
    host_interface: str
    mac: str
    addresses: tuple[str, ...]
    profiles: tuple[str, ...]
    namespace: str = "default"
    orchestrator: str = "cni"
    labels: Pairs = ()
    annotations: Pairs = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What goes from one datastore to another, each kind sorted by its names.

    Of the endpoints in a file the names alone are read: a container lives where it lives. passed_over names profiles
    of a list of calicoctl's that no calico-rkt published: Calico's own and other people's.
    """

    profiles: tuple[Network, ...] = ()
    pools: tuple[IPPool, ...] = ()
    endpoints: tuple[WorkloadEndpoint, ...] = ()
    endpoint_names: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
