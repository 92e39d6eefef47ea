"""What a chain is planned of: elements, maps of them, and ports that lead to chains of their own; values only."""

from __future__ import annotations

from dataclasses import dataclass

from calico_rkt.compiler.ir.model import Action, Rule
from calico_rkt.compiler.targets.nftables.peers import Lookup


@dataclass(frozen=True, slots=True)
class Element:
    """A box of packets and its fate: first and last value in each of its map's dimensions, and the rules behind it."""

    values: tuple[tuple[int, int], ...]
    rules: tuple[Rule, ...]

    @property
    def action(self) -> Action:
        """What becomes of the packets: all of its rules say the same."""
        return self.rules[0].action


@dataclass(frozen=True, slots=True)
class Map:
    """Packets of a family (None: both) and protocol (None: any) between such peers, by dimensions of packets.space.

    Without a dimension it has one element, which is all these packets.
    """

    version: int | None
    protocol: int | None
    source: Lookup
    destination: Lookup
    dimensions: tuple[int, ...]
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """What decides of packets to these ports (first and last of each range) before the Rest does; no one comes back."""

    ports: tuple[tuple[int, int], ...]
    parts: tuple[Rule | Map, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """Packets of a family (None: both) and protocol, led to one of the chains by their port; to others they go on."""

    version: int | None
    protocol: int
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """What is behind the ports: a chain where all go that no chain of a port has decided, and all other packets."""

    parts: tuple[Map, ...]
