"""What somebody wants of an attachment in; what CNI's capabilities call it, for each plugin of a chain, out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import combinations
from typing import Any

from calico_rkt.compiler.conf.chain import PORTMAP, PORTS, Chain, declared
from calico_rkt.compiler.conf.shape import TYPE
from calico_rkt.plugin.cni.ports import FAMILIES, PROTOCOLS, Port, is_port
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.runtime.families import families_of

IPS, MAC = "ips", "mac"
_OURS = frozenset((IPS, MAC))
"""What this plugin takes whether its conf declares it or not."""
_PORT = re.compile(r"(?:(?P<ip>\[[^\]]+\]|[^:\[\]]+):)?(?P<host>\d+):(?P<container>\d+)(?:/(?P<protocol>[a-z]+))?\Z")


def port(text: str) -> Port:
    """`[ADDRESS:]HOST:CONTAINER[/PROTOCOL]`; CniError 4 where it is none.

    >>> str(port("8080:80"))
    '8080:80/tcp'
    >>> port("[2001:db8::1]:53:5353/udp")
    Port(host=53, container=5353, protocol='udp', host_ip='2001:db8::1')
    """
    found = _PORT.match(text)
    if found is None:
        raise _bad_port(
            text, "such as 8080:80, 8080:80/udp or 127.0.0.1:8080:80: the host's port, then the container's"
        )
    host, container = int(found["host"]), int(found["container"])
    protocol, at = found["protocol"] or "tcp", (found["ip"] or "").strip("[]")
    if not (is_port(host) and is_port(container)):
        raise _bad_port(text, "ports are 1 to 65535")
    if protocol not in PROTOCOLS:
        raise _bad_port(text, f"the protocol is one of {', '.join(PROTOCOLS)}")
    try:
        return Port(host, container, protocol, str(ip_address(at)) if at else "")
    except ValueError:
        raise _bad_port(text, f"{at!r} is no IP address") from None


def mac_address(text: str) -> str:
    """A MAC in any notation, such as 52-54-00-aa-bb-cc or 5254.00aa.bbcc, as the kernel writes it; CniError 4.

    >>> mac_address("5254.00AA.BBCC")
    '52:54:00:aa:bb:cc'
    """
    # Here, not above: a person's command alone takes more than one notation.
    from netaddr import EUI, AddrFormatError, mac_unix_expanded

    try:
        return str(EUI(text.strip(), version=48, dialect=mac_unix_expanded))
    except AddrFormatError:
        raise CniError(Code.INVALID_ENVIRONMENT, f"{text!r} is no MAC address", "such as 52:54:00:12:34:56") from None


def _bad_port(text: str, why: str) -> CniError:
    return CniError(Code.INVALID_ENVIRONMENT, f"{text!r} is no port to publish", why)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Addresses, a MAC and published ports that are asked for; empty where the network decides."""

    ips: tuple[str, ...] = ()
    mac: str = ""
    ports: tuple[Port, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As capabilities (CNI's CONVENTIONS): each that is asked for."""
        listed = [port.to_json() for port in self.ports]
        return {k: v for k, v in {IPS: list(self.ips), MAC: self.mac, PORTS: listed}.items() if v}


def capabilities_of(plugin: Mapping[str, Any], wishes: Mapping[str, Any]) -> dict[str, Any]:
    """What of the wishes one plugin gets: what it declares, as libcni has it, and what ours takes anyway."""
    takes = declared(plugin) | (_OURS if plugin.get("type") == TYPE else frozenset())
    return {k: v for k, v in wishes.items() if k in takes}


def refuse_unserved(chain: Chain, wishes: Wishes) -> None:
    """CniError 2 where no plugin of the network would serve a wish, 4 where no packet would come by one.

    Nobody would say so later. Plugins take ports in their order, and the first that a packet is for gets it.
    """
    families = families_of(chain) if wishes.ports else FAMILIES
    for one in wishes.ports:
        if not one.is_of(families):
            raise _bad_port(str(one), f"network {chain.name!r} has no address of the family of {one.host_ip}")
    for first, later in combinations(wishes.ports, 2):
        if first.covers(later, families):
            twice = f"the host's port {first.host} is asked for more than once"
            raise _bad_port(str(later), f"{twice}: all its packets go to {first}, which stands before it")
    asked = wishes.to_json()
    if wishes.ports and not chain.port_mappers:
        message = f"no plugin of network {chain.name!r} publishes ports"
        raise CniError(Code.UNSUPPORTED_FIELD, message, f"the conf has to be a list with {PORTMAP} behind calico")
    served = {k for p in chain.plugins for k in capabilities_of(p, asked)}
    for capability in asked:
        if capability not in served:
            message = f"no plugin of network {chain.name!r} has the capability {capability}"
            raise CniError(Code.UNSUPPORTED_FIELD, message)
