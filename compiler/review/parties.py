"""The networks of a workspace in, everybody who can be at an end of a flow out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from ipaddress import ip_network, summarize_address_range
from typing import NamedTuple

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Net, Network, Side
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.ir.selector import ALL, Selector, all_of, has, negate
from calico_rkt.compiler.packets.space import net_range
from calico_rkt.compiler.review.address_sets import less, touching


class Kind(Enum):
    """What stands at an end of a flow; the value is what people call it where it has no name of its own."""

    NETWORK = "network"
    OTHERS = "other endpoints"
    OUTSIDE = "outside"
    HOST = "host"


@dataclass(frozen=True)
class Party:
    """One row or column of a matrix. nets are its addresses (empty: any), less not_nets.

    A network's addresses are its conf's ranges; with delegated ipam whatever no other network owns. The outside
    and the host have those that no network owns. Other endpoints, of networks that no conf here has, have any.
    """

    kind: Kind
    name: str
    id: str = ""
    nets: tuple[Net, ...] = ()
    not_nets: tuple[Net, ...] = ()

    @property
    def key(self) -> tuple[Kind, str]:
        """The same in every revision of a workspace."""
        return self.kind, self.name

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and last address of each of nets, as a Space counts them."""
        return tuple((first, end - 1) for first, end in map(net_range, self.nets))

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where its nets and their holes begin and end, in order, as a Space counts addresses."""
        return tuple(sorted({x for net in (*self.nets, *self.not_nets) for x in net_range(net)}))

    @cached_property
    def several(self) -> frozenset[int]:
        """IP versions of which it has two addresses at least; those that are hard to count are left out."""
        widest = {4: 0, 6: 0} if self.nets else {4: 1 << 32, 6: 1 << 128}
        for net in self.nets:
            widest[net.version] = max(widest[net.version], net.num_addresses)
        for hole in self.not_nets:
            widest[hole.version] -= hole.num_addresses
        return frozenset(version for version, count in widest.items() if count >= 2)

    def side(self, ids: Iterable[str], *, owned: bool = True) -> Side:
        """What a packet's end has to be to be this party's; ids are those of the networks that rules tell apart.

        Without owned, the outside and the host may have any address.
        """
        if self.kind is Kind.NETWORK:
            return Side(nets=self.nets, not_nets=self.not_nets, selector=has(self.id))
        if self.kind is Kind.OTHERS:
            strangers = [negate(has(i)) for i in sorted(ids)]
            return Side(selector=all_of(strangers) if strangers else ALL)
        return Side(not_nets=self.not_nets if owned else (), not_selector=ALL)

    def may_match(self, side: Side, ids: frozenset[str]) -> bool:
        """Whether a rule's side could be about this party, by its selectors; ids are those of all confs."""
        if side.selector is not None and self._truth(side.selector, ids) is False:
            return False
        return side.not_selector is None or self._truth(side.not_selector, ids) is not True

    def _truth(self, selector: Selector, ids: frozenset[str]) -> bool | None:
        if self.kind in (Kind.OUTSIDE, Kind.HOST):
            return False
        if any(atom.key not in ids for atom in selector.atoms):
            return None
        return selector.matches({self.id: ""} if self.kind is Kind.NETWORK else {})


STRANGERS = Party(Kind.OTHERS, Kind.OTHERS.value)
"""Endpoints of networks that no conf here has."""


def parties(networks: Mapping[str, Network], confs: Mapping[str, NetConf]) -> tuple[Party, ...]:
    """Each network in the order of the confs, other endpoints where a rule could tell them apart, outside, host."""
    pools = {name: _pool(confs[name]) for name in networks}
    owned = tuple(net for pool in pools.values() for net in pool.owned)
    found = [
        Party(Kind.NETWORK, name, object_id(name), pool.nets, pool.holes if pool.nets else owned)
        for name, pool in pools.items()
    ]
    if _knows_others(networks.values(), frozenset(n.id for n in networks.values())):
        found.append(STRANGERS)
    found.append(Party(Kind.OUTSIDE, Kind.OUTSIDE.value, not_nets=owned))
    found.append(Party(Kind.HOST, Kind.HOST.value, not_nets=owned))
    return tuple(found)


class _Pool(NamedTuple):
    """The addresses of a conf's ranges: nets less holes are given to endpoints, owned are nobody else's."""

    nets: tuple[Net, ...] = ()
    holes: tuple[Net, ...] = ()
    owned: tuple[Net, ...] = ()


def _pool(conf: NetConf) -> _Pool:
    """A subnet's own address and its broadcast are nobody's; its gateway and what it excludes are somebody else's."""
    nets: list[Net] = []
    unused: list[Net] = []
    others = list(conf.ipam.exclude)
    for one in (r for ranges in conf.ipam.ranges for r in ranges):
        subnet, first, last = one.subnet, one.first, one.last
        if first == subnet[1] and last in (subnet[-2], subnet[-1]):
            nets.append(subnet)
            unused += [ip_network(a) for a in (subnet[0], subnet[-1]) if not first <= a <= last]  # type: ignore[operator]
        else:
            nets += summarize_address_range(first, last)
        others += [ip_network(one.gateway)] if one.gateway is not None else []
    holes = (*unused, *touching(nets, others))
    return _Pool(tuple(nets), tuple(dict.fromkeys(holes)), less(nets, others))


def _knows_others(networks: Iterable[Network], ids: frozenset[str]) -> bool:
    """Whether a selector can hold for an endpoint of none of these networks; else such a one is as the outside."""
    selectors = selectors_of(rule for network in networks for rule in (*network.ingress, *network.egress))
    return any(s.matches({}) for s in selectors) or not labels_of(selectors) <= ids
