"""One packet on its way through this host, with all that a rule may ask of it: what both sides of a proof speak of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.evaluate import End
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.model import PORT_PROTOCOLS, Icmp
from calico_rkt.compiler.packets.wording import packet_words


class Kind(Enum):
    """What connection tracking makes of a packet."""

    NEW = "opens a flow"
    REPLY = "answers a flow"
    LATER = "goes on in a flow that was answered"
    ERROR = "is an error about a flow"
    INVALID = "belongs to no flow"


@dataclass(frozen=True, slots=True)
class Packet:
    """iif and oif are interfaces, empty for the host itself.

    flow: source and destination of the packet that began the flow, where this one is not it.
    routed: whether the host has a route back to the source. mark: None where it is not known. groups: the device groups
    of iif and oif, None where that is not known.
    """

    kind: Kind
    source: Address
    destination: Address
    protocol: int
    iif: str
    oif: str
    sport: int = 0
    dport: int = 0
    icmp: Icmp | None = None
    flow: tuple[Address, Address] | None = None
    routed: bool = True
    mark: int | None = None
    groups: tuple[int | None, int | None] = (None, None)

    @property
    def version(self) -> int:
        return self.source.version

    def opening(self, source: dict[str, str] | None, destination: dict[str, str] | None) -> Opening:
        """The packet as rules of networks see it; each end's labels, None for who is no endpoint."""
        ported = self.protocol in PORT_PROTOCOLS
        return Opening(
            End(self.source, source, self.sport if ported else 0),
            End(self.destination, destination, self.dport if ported else 0),
            self.protocol,
            self.icmp,
        )

    def __str__(self) -> str:
        way = f" by {self.iif or 'the host'} to {self.oif or 'the host'}"
        what = packet_words(self.opening(None, None)) + way
        return what if self.kind is Kind.NEW else f"{what}, which {self.kind.value}"
