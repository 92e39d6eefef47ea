"""Nets and ports in any order in, the fewest that mean the same in one order out; rules keep their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import Diagnostic, error
from calico_rkt.compiler.ir.model import NameRef, Net, Network, PortRange, Rule, Side

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definitions


def merge(network: Network, _: Definitions | None) -> tuple[Network, tuple[Diagnostic, ...]]:
    """Within each field of each rule: nets joined and sorted, ports joined into ranges and sorted.

    A notProtocol beside another protocol goes. Nothing is joined across rules, so a Log keeps logging exactly what
    it did. notNets that together leave no address are an error, as 0.0.0.0/0 among them is in Calico.

    >>> from ipaddress import ip_network
    >>> from calico_rkt.compiler.ir.model import Action, Match
    >>> ports = (PortRange(443, 443), PortRange(81, 90), PortRange(80, 80))
    >>> nets = (ip_network("10.1.0.0/24"), ip_network("10.0.0.0/24"), ip_network("10.0.1.0/24"))
    >>> rule = Rule(Action.ALLOW, Match(protocol=6, destination=Side(ports=ports, nets=nets)))
    >>> side = merge(Network("web", "web", egress=(rule,)), None)[0].egress[0].match.destination
    >>> [(p.lo, p.hi) for p in side.ports], [str(n) for n in side.nets]
    ([(80, 90), (443, 443)], ['10.0.0.0/23', '10.1.0.0/24'])
    """
    found: list[Diagnostic] = []
    ingress = tuple(_rule(rule, found) for rule in network.ingress)
    egress = tuple(_rule(rule, found) for rule in network.egress)
    return replace(network, ingress=ingress, egress=egress), tuple(found)


def _rule(rule: Rule, found: list[Diagnostic]) -> Rule:
    m = rule.match
    source, destination = _side(m.source), _side(m.destination)
    if m.protocol is not None and m.not_protocol not in (None, m.protocol):
        # It says nothing; Felix in iptables mode would write two -p, and program nothing any more.
        rule = replace(rule, match=(m := replace(m, not_protocol=None)))
    if source is m.source and destination is m.destination:
        return rule
    merged = replace(m, source=source, destination=destination)
    for name, side in (("source", merged.source), ("destination", merged.destination)):
        if any(not isinstance(n, NameRef) and n.prefixlen == 0 for n in side.not_nets):
            hint = "no packet can match the rule: take it out, or take addresses out of notNets"
            found.append(error("CR406", f"{name}.notNets leaves no address", rule.span, hint=hint))
    return replace(rule, match=merged)


def _side(side: Side) -> Side:
    if len(side.nets) <= 1 and len(side.ports) <= 1 and len(side.not_ports) <= 1 and not side.not_nets:
        return side
    return replace(
        side,
        nets=joined_nets(side.nets),
        not_nets=joined_nets(side.not_nets),
        ports=joined_ports(side.ports),
        not_ports=joined_ports(side.not_ports),
    )


def joined_nets(nets: Iterable[Net | NameRef]) -> tuple[Net, ...]:
    """The fewest CIDRs for the same addresses, in order, IPv4 before IPv6; names are left out."""
    found: dict[_Cidr, Net] = {
        (n.version, int(n.network_address), n.prefixlen): n for n in nets if not isinstance(n, NameRef)
    }
    out: list[_Cidr] = []
    for net in sorted(found):
        if out and _holds(out[-1], net):
            continue
        out.append(net)
        while len(out) > 1 and (both := _together(*out[-2:])) is not None:
            out[-2:] = [both]
    return tuple(found.get(net) or _net(net) for net in out)


_Cidr = tuple[int, int, int]
"""A net's version, its first address, and the length of its prefix."""


def _holds(wide: _Cidr, net: _Cidr) -> bool:
    (version, first, length), (other, address, _) = wide, net
    return version == other and (first ^ address) >> _BITS[version] - length == 0


def _together(low: _Cidr, high: _Cidr) -> _Cidr | None:
    """The net that these two are the halves of; None where there is none."""
    version, first, length = low
    half = 1 << _BITS[version] - length
    return (version, first, length - 1) if high == (version, first | half, length) and not first & half else None


def _net(net: _Cidr) -> Net:
    version, first, length = net
    return IPv4Network((first, length)) if version == 4 else IPv6Network((first, length))


_BITS = {4: 32, 6: 128}


def joined_ports(ports: Iterable[PortRange | NameRef]) -> tuple[PortRange, ...]:
    """The fewest ranges for the same ports, in order; names are left out."""
    out: list[PortRange] = []
    for port in sorted(p for p in ports if isinstance(p, PortRange)):
        if out and port.lo <= out[-1].hi + 1:
            out[-1] = PortRange(out[-1].lo, max(out[-1].hi, port.hi))
        else:
            out.append(port)
    return tuple(out)
