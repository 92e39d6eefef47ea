"""Compiled networks in, every pair of those at the ends of their flows out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.review.alike import Likeness
from calico_rkt.compiler.review.pair import Stage, View, view
from calico_rkt.compiler.review.parties import Kind, Party, parties


@dataclass(frozen=True, slots=True)
class World:
    """The networks of one revision by name, in the order of their confs.

    own are their ids, known those of all networks that a conf, an override or a rule names.
    stages and places are made as they are asked for, texts are the files' by path. unreadable says, by the names of
    networks whose confs can't be used, why every answer about them is undecided. beside are the names of networks that
    are here for those of the others alone that meet them, each with whether it is of another datastore than these,
    also where that is of one type.
    """

    where: str
    networks: Mapping[str, Network]
    confs: Mapping[str, NetConf]
    files: tuple[File, ...]
    own: frozenset[str]
    known: frozenset[str]
    parties: tuple[Party, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, bool] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    stages: dict[str, Stage] = field(default_factory=dict, compare=False, repr=False)
    places: dict[tuple[Kind, str], Party] = field(default_factory=dict, compare=False, repr=False)
    likeness: Likeness = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "likeness", Likeness(self.own))

    def party(self, kind: Kind, name: str = "") -> Party | None:
        """The party of this kind and, for a network, of this name, or else of this id."""
        if not self.places:  # names after ids, and the first of each last: who comes later takes the place
            self.places.update({(p.kind, p.id): p for p in reversed(self.parties)})
            self.places.update({_place(p.kind, p.name): p for p in reversed(self.parties)})
        return self.places.get(_place(kind, name))

    def without(self, names: Collection[str]) -> World:
        """The same without some networks, whose addresses then are nobody's."""
        if not any(n in self.networks for n in names):
            return self
        networks = {n: network for n, network in self.networks.items() if n not in names}
        own = frozenset(n.id for n in networks.values())
        return replace(self, networks=networks, own=own, parties=parties(networks, self.confs), stages={}, places={})

    def view(self, source: Party, destination: Party) -> View | None:
        """What decides between the two; None where that is not for this workspace to decide."""
        if self.beside and not any(p.kind is Kind.NETWORK and p.name not in self.beside for p in (source, destination)):
            return None
        felix = source.kind is Kind.NETWORK and self.confs[source.name].datastore_type != "local"
        apart = self.apart(source, destination)
        return view(source, destination, self.networks, self.stages, felix=felix, apart=apart)

    def apart(self, one: Party, other: Party) -> bool:
        """Whether they are networks of two datastores: neither's rules know the labels of the other's endpoints."""
        if one.kind is not Kind.NETWORK or other.kind is not Kind.NETWORK:
            return False
        stores = [(self.confs[p.name].datastore_type, self.beside.get(p.name, False)) for p in (one, other)]
        return stores[0] != stores[1]

    def views(self) -> Iterator[View]:
        """Every pair that this workspace decides, row by row."""
        for source in self.parties:
            for destination in self.parties:
                found = self.view(source, destination)
                if found is not None:
                    yield found


def _place(kind: Kind, name: str) -> tuple[Kind, str]:
    """Only networks go by name."""
    return kind, name if kind is Kind.NETWORK else ""
