"""A network, an endpoint's address and ports of it in; those that nobody outside reaches, exactly, out."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import Match, Net, Network, PortRange, Side
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.review.pair import Scene, Stage, View
from calico_rkt.compiler.review.parties import Kind, Party


def closed_from_outside(
    network: Network, address: Address, protocol: int, ports: Collection[int], owned: tuple[Net, ...]
) -> tuple[int, ...]:
    """The ports, sorted, that no packet from outside gets to; one that lets some of the outside in is none of them.

    owned are the nets that networks of this host give addresses from, so nobody outside has them. A box of ports is
    asked for as a whole, and halved only where its ports differ. UndecidedError where that takes too long.
    """
    asked = sorted(set(ports))
    source = Party(Kind.OUTSIDE, Kind.OUTSIDE.value, not_nets=owned)
    target = Party(Kind.NETWORK, network.name, network.id, nets=(ip_network(address),))
    view = View(source, target, (Stage(f"ingress of {network.name}", network.ingress, network.name),))
    budget = Budget()
    found: list[int] = []
    pending = [asked] if asked else []
    while pending:
        some = pending.pop()
        allowed, denied = _fates(view, network.id, _to(protocol, some), budget)
        if not allowed:
            found += some
        elif denied and len(some) > 1:
            pending += [some[: len(some) // 2], some[len(some) // 2 :]]
    return tuple(sorted(found))


def _to(protocol: int, ports: Collection[int]) -> Match:
    return Match(protocol=protocol, destination=Side(ports=tuple(PortRange(p, p) for p in ports)))


def _fates(view: View, network_id: str, match: Match, budget: Budget) -> tuple[bool, bool]:
    """Whether any of these packets is allowed, and whether any is denied."""
    ids = frozenset({network_id})
    scene = Scene([view], ids, ids, (match,))
    fates = {fate.allowed for box in scene.within(0, (match,), (), budget) for _, fate in scene.fates(0, box, budget)}
    return True in fates, False in fates
