"""A runtime's list of published ports in, each port of it out, and back: the capability portMappings.

CNI's CONVENTIONS: runtimeConfig.portMappings is a list of hostPort, containerPort, protocol and hostIP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TypeGuard

from calico_rkt.compiler.conf.netconf import Address

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
"""Those whose ports can be published, with their numbers."""


FAMILIES = frozenset((4, 6))


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the host, at one of its addresses or (empty) at all, that leads to one of the container."""

    host: int
    container: int
    protocol: str = "tcp"
    host_ip: str = ""

    def __str__(self) -> str:
        at = f"[{self.host_ip}]:" if ":" in self.host_ip else f"{self.host_ip}:" if self.host_ip else ""
        return f"{at}{self.host}:{self.container}/{self.protocol}"

    def to_json(self) -> dict[str, int | str]:
        """As CNI has it."""
        return {
            "hostPort": self.host,
            "containerPort": self.container,
            "protocol": self.protocol,
            "hostIP": self.host_ip,
        }

    def clashes(self, other: Port, own: frozenset[int] = FAMILIES, its: frozenset[int] = FAMILIES) -> bool:
        """Whether a packet could be for both: the same port, at one address or, for one of them, at all.

        `0.0.0.0` and `::` are all of one family. own and its are the IP versions that the containers have addresses of:
        a port leads to no other.
        """
        if not self._is_that_of(other) or not self._at(own) & other._at(its):
            return False
        one, two = _address(self.host_ip), _address(other.host_ip)
        return one is None or two is None or one.is_unspecified or two.is_unspecified or one == two

    def covers(self, other: Port, families: frozenset[int] = FAMILIES) -> bool:
        """Whether all packets of another port of the same container are for this one, too: behind it, it gets none."""
        there = other._at(families)
        if not self._is_that_of(other) or not there or not there <= self._at(families):
            return False
        one, two = _address(self.host_ip), _address(other.host_ip)
        return one is None or one.is_unspecified or one == two

    def is_of(self, families: frozenset[int]) -> bool:
        """Whether it leads to a container that has addresses of these IP versions."""
        return bool(self._at(families))

    def _is_that_of(self, other: Port) -> bool:
        return (self.host, self.protocol) == (other.host, other.protocol)

    def _at(self, families: frozenset[int]) -> frozenset[int]:
        """The IP versions that it is about, of these."""
        at = _address(self.host_ip)
        return families if at is None else families & {at.version}

    def reaches(self, address: Address) -> bool:
        """Whether somebody outside could come to this address by it: not by the host's loopback."""
        if not self.host_ip:
            return True
        try:
            at = ip_address(self.host_ip)
        except ValueError:
            return True  # the plugin that maps it will say so
        return at.version == address.version and not at.is_loopback


def _address(text: str) -> Address | None:
    """Where a port is; None for everywhere, or where only the plugin that maps it may know."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found


def ports_in(listed: object) -> tuple[Port, ...]:
    """Each port once; what is no mapping is left to the plugin that maps."""
    return tuple(dict.fromkeys(_ports(listed if isinstance(listed, list) else ())))


def is_port(value: object) -> TypeGuard[int]:
    """Whether it is the number of a port: 1 to 65535."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _ports(listed: list[object] | tuple[()]) -> Iterator[Port]:
    for one in listed:
        if not isinstance(one, dict):
            continue
        host, container, protocol = one.get("hostPort"), one.get("containerPort"), one.get("protocol") or "tcp"
        host_ip = one.get("hostIP") or ""
        if is_port(host) and is_port(container) and isinstance(protocol, str) and isinstance(host_ip, str):
            yield Port(host, container, protocol.lower(), host_ip)
