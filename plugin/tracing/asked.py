"""Two ends and a kind of packet in; conditions that nftables tells their packets by out. No effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, Icmp, PortRange
from calico_rkt.plugin.containers.meant import End, Kind
from calico_rkt.plugin.enforce.nft.elements import OURS
from calico_rkt.plugin.errors import CniError, Code

_IP = {4: "ip", 6: "ip6"}
_FAMILY = {4: "ipv4", 6: "ipv6"}
LOCAL = "fib daddr type local"
"""What the host keeps for itself."""


@dataclass(frozen=True, slots=True)
class Packets:
    """Which packets: of these protocols, to these ports, of this ICMP type; all where none is named."""

    protocols: tuple[int, ...] = ()
    ports: tuple[PortRange, ...] = ()
    icmp: Icmp | None = None

    def conditions(self, *, reply: bool) -> str:
        """As nftables has it; a reply comes from the port, and is of whatever type."""
        found = f"meta l4proto {_one_of(self.protocols)} " if self.protocols else ""
        if self.icmp is not None and not reply:
            kind = "icmp" if self.protocols == (ICMP,) else "icmpv6"
            found = f"{kind} type {self.icmp.type} "
            found += "" if self.icmp.code is None else f"{kind} code {self.icmp.code} "
        ports = [f"{p.lo}-{p.hi}" if p.lo != p.hi else p.lo for p in self.ports]
        return found + (f"th {'sport' if reply else 'dport'} {_one_of(ports)} " if ports else "")

    def versions(self) -> tuple[int, ...]:
        """The families that have such packets."""
        return (4,) if self.protocols == (ICMP,) else (6,) if self.protocols == (ICMPV6,) else (4, 6)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is watched. ranges: the subnets of this host's networks, which are no part of the outside."""

    source: End
    destination: End
    packets: Packets
    ranges: tuple[Net, ...] = ()

    def __post_init__(self) -> None:
        for end in (self.source, self.destination):
            if end.kind is Kind.NETWORK and not end.rows:
                raise CniError(
                    Code.INVALID_CONF,
                    f"network {end.word} has no endpoint on this host: there is nothing to watch",
                    "calico-rkt ls; calico-rkt explain answers by the files",
                )
        if not (self.source.rows or self.destination.rows):
            raise CniError(
                Code.INVALID_CONF,
                f"neither {self.source} nor {self.destination} is a container or a network of this host",
                "trace watches what a container of ours sends or gets; calico-rkt ls shows them",
            )

    def conditions(self, hook: str) -> Iterator[str]:
        """What tells its packets at a hook, those of the way back, too."""
        for source, destination, reply in (
            (self.source, self.destination, False),
            (self.destination, self.source, True),
        ):
            for version in self.packets.versions():
                for one in self._sources(source, version, hook):
                    for other in self._destinations(destination, version, hook):
                        family = f"meta nfproto {_FAMILY[version]} "
                        yield f"{family}{one}{other}{self.packets.conditions(reply=reply)}"

    def from_source(self) -> Iterator[str]:
        """What tells all that the first end sends, to whomever, where it comes in."""
        if self.source.rows:
            yield f"iifname {_names(self.source)} "
        elif self.source.kind is not Kind.HOST:
            yield from (
                f"meta nfproto {_FAMILY[v]} {one}"
                for v in (4, 6)
                for one in self._sources(self.source, v, "prerouting")
            )

    def _sources(self, end: End, version: int, hook: str) -> Iterator[str]:
        if end.kind is Kind.HOST:
            if hook == "output":
                yield ""
        elif hook == "output":
            return
        elif end.rows:
            # By its interface, whatever address it sends with, and by its address, wherever that comes from.
            yield f"iifname {_names(end)} "
            if held := _held(end, version):
                yield f"iifname != {_names(end)} {_IP[version]} saddr {_one_of(held)} "
        elif end.kind is Kind.OUTSIDE:
            yield f'iifname != "{OURS}" iifname != "lo" '
        elif end.net is not None and end.net.version == version:
            yield f"{_IP[version]} saddr {end.net} "

    def _destinations(self, end: End, version: int, hook: str) -> Iterator[str]:
        if end.kind is Kind.HOST:
            if hook in ("prerouting", "input"):
                yield f"{LOCAL} "
        elif end.rows:
            if held := _held(end, version):
                yield f"{_IP[version]} daddr {_one_of(held)} "
        elif end.kind is Kind.OUTSIDE:
            if hook != "input":
                spared = [str(net) for net in self.ranges if net.version == version]
                not_ours = "".join(f"{_IP[version]} daddr != {net} " for net in spared)
                yield f"fib daddr type != {{ local, broadcast, multicast }} {not_ours}"
        elif end.net is not None and end.net.version == version:
            yield f"{_IP[version]} daddr {end.net} "


def _held(end: End, version: int) -> list[str]:
    return [a for r in end.rows for a in r.addresses if ip_address(a).version == version]


def _names(end: End) -> str:
    return _one_of([f'"{r.host_ifname}"' for r in end.rows])


def _one_of(values: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"
