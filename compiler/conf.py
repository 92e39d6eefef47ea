"""A network conf's bytes in, a NetConf out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Net = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Range:
    """One range of addresses: first and last are included and inside subnet; gateway is never handed out."""

    subnet: Net
    first: Address
    last: Address
    gateway: Address | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the conf's ipam section; gateway is accepted and unused, since all goes through the host."""

    destination: Net
    gateway: Address | None = None


@dataclass(frozen=True, slots=True)
class Ipam:
    """The ipam section. type "host-local" is served by this plugin, every other type is delegated by exec.

    ranges: one tuple a range set (host-local's `ranges`): an endpoint gets one address from each set.
    """

    type: str
    ranges: tuple[tuple[Range, ...], ...] = ()
    routes: tuple[Route, ...] = ()
    exclude: tuple[Net, ...] = ()


@dataclass(frozen=True, slots=True)
class NetConf:
    """One network conf; keys have CNI's and Calico's names in snake case. mtu 0 is the kernel's choice."""

    name: str
    type: str
    cni_version: str
    ipam: Ipam
    ip_masq: bool = False
    mtu: int = 0
    datastore_type: str = "local"
    etcd_authority: str = ""
    etcd_endpoints: tuple[str, ...] = ()
    etcd_ca_cert_file: str = ""
    etcd_cert_file: str = ""
    etcd_key_file: str = ""
    nodename: str = ""
    require_felix: bool = True
    log_level: str = "info"
    profiles_dir: str = "/etc/calico-rkt/profiles"
