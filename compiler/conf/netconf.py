"""What a network conf says, as values: frozen, checked by whoever made them (parse, ipam)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.values import dataclass, field

SUPPORTED_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""CNI spec versions; a conf without cniVersion means the first."""


PROFILES_DIR = "/etc/calico-rkt/profiles"
"""The folder of the overrides of a host whose confs name none."""


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
    guard: packets to addresses of ours that no endpoint has go nowhere. span is where the conf says its addresses.
    """

    type: str
    ranges: tuple[tuple[Range, ...], ...] = ()
    routes: tuple[Route, ...] = ()
    exclude: tuple[Net, ...] = ()
    guard: bool = True
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dns:
    """The dns object of the CNI specification."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


NO_DNS = Dns()


@dataclass(frozen=True, slots=True)
class NetConf:
    """One network conf; keys have CNI's and Calico's names in snake case. mtu 0 is that of the host's default route.

    cni_version is what a runtime of today takes, cni_version_before what one does that reads no `cniVersions`.
    profiles_named: profiles_dir stands in the conf, so it has to be there; the usual one may be absent.
    """

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
    etcd_username: str = ""
    etcd_password_file: str = ""
    nodename: str = ""
    require_felix: bool = True
    log_level: str = "info"
    profiles_dir: str = PROFILES_DIR
    profiles_named: bool = False
    dns: Dns = NO_DNS
    cni_version_before: str = ""
