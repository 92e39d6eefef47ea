"""A Network in, nftables text for `nft -f` out: the network's two chains in table inet calico_rkt.

Allow is `return`: the base chain goes on to the other end's chain, and an `accept` would skip it. The end is
`drop`, and its comment holds the digest (a chain's own comment stays as it was when the chain exists already).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.ids import LONGEST
from calico_rkt.compiler.ir.model import ICMP, SCTP, TCP, UDP, Action, Match, NameRef, Net, Network, PortRange, Rule
from calico_rkt.compiler.ir.resolved import nets, ports, versions
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.targets.limits import check_limits, refuse
from calico_rkt.compiler.targets.nftables.peers import Lookup, lookups, set_names
from calico_rkt.compiler.targets.printing import render_template

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.nftables.parts import Map, Ports, Rest

_TRANSPORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_ID = re.compile(r"[a-z0-9][-a-z0-9.]*\Z")
FEW = 20
"""A list of so many rules stays lines: people read it, and a packet passes it in less than a microsecond."""
_HINT = "`network: NAME` selects another network's endpoints"


@dataclass(frozen=True, slots=True)
class _Line:
    """One nftables rule, field by field in the order of print; a field is printed once for each of its values."""

    ip: str
    verdict: str
    source: Sequence[str] = ()
    not_source: Sequence[str] = ()
    destination: Sequence[str] = ()
    not_destination: Sequence[str] = ()
    l4proto: Sequence[int] = ()
    not_l4proto: Sequence[int] = ()
    nfproto: Sequence[str] = ()
    transport: str = ""
    sport: Sequence[str] = ()
    not_sport: Sequence[str] = ()
    dport: Sequence[str] = ()
    not_dport: Sequence[str] = ()
    icmp: str = ""
    icmp_type: Sequence[int] = ()
    icmp_code: Sequence[int] = ()
    not_icmp_type: Sequence[int] = ()
    not_icmp_pair: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Chain:
    name: str
    about: str
    lines: Sequence[_Line]
    comment: str


def write_nftables(network: Network, *, known_ids: frozenset[str] | None = None) -> str:
    """The text that puts the network's rules in force, in one transaction, whatever was in force before.

    known_ids are the ids of all networks of the host; a selector on any other label is refused, since no
    endpoint here could carry it (None: not checked). Raises CompileError.
    """
    return join_nftables([nftables_piece(network, known_ids=known_ids)])


@dataclass(frozen=True, slots=True)
class Piece:
    """What the text of one network is made of."""

    name: str
    sets: Sequence[tuple[str, str]]
    chains: Sequence[_Chain]


def join_nftables(pieces: Iterable[Piece]) -> str:
    """One text for several networks.

    For each block `table ... { }` libnftables takes half a megabyte until all is done: a text of its own for each of
    a thousand networks took a gigabyte.
    """
    found = tuple(pieces)
    return render_template(
        "nftables/network.nft.j2",
        names=[piece.name for piece in found],
        sets=list(dict.fromkeys(s for piece in found for s in piece.sets)),
        chains=[chain for piece in found for chain in piece.chains],
    )


def nftables_piece(network: Network, *, known_ids: frozenset[str] | None = None) -> Piece:
    """A network's part of a text; raises CompileError where it can't be written, as write_nftables()."""
    keys = check_nftables(network, known_ids=known_ids)
    mark = digest(network)
    sent = "What its endpoints send; return hands on to the receiver's chain."
    host = f"{mark} host={network.endpoint_to_host.value}"
    chains = (
        *_chains(_Chain(f"out-{network.id}", sent, (), host), network.egress, network, mark),
        *_chains(
            _Chain(f"in-{network.id}", "What its endpoints receive; return lets it in.", (), mark),
            network.ingress,
            network,
            mark,
        ),
    )
    sets = (*_all_sets(chains), *_sets(sorted({network.id, *keys})))
    return Piece(json.dumps(network.name), sets, chains)


def check_nftables(network: Network, *, known_ids: frozenset[str] | None = None) -> Sequence[str]:
    """Raise what write_nftables() would raise; the labels that the rules name, sorted."""
    keys = sorted(labels_of(selectors_of((*network.ingress, *network.egress))))
    strange = {key: why for key in keys if (why := _why_strange(key, known_ids))}

    def labels(where: str, rule: Rule) -> Iterator[Diagnostic]:
        for key in sorted(labels_of(selectors_of([rule]))) if strange else ():
            if key in strange:
                yield refuse("CR540", where, rule, f"{strange[key]} {key}", hint=_HINT)

    check_limits(network, labels)
    return keys


def rule_of_each_line(rules: Sequence[Rule], network: Network) -> tuple[Rule | None, ...]:
    """The rule that each line of a chain was written for, in order; the drop at its end is behind them.

    None where the line is a map of many: there the packet says which.
    """
    found: list[Rule | None] = []
    for part in planned(rules):
        found += [part] * len(tuple(_lines((part,), network))) if isinstance(part, Rule) else [None]
    return tuple(found)


def _why_strange(key: str, known_ids: frozenset[str] | None) -> str | None:
    if not _ID.match(key) or len(key) > LONGEST:
        return "a network's id is no such label:"
    if known_ids is not None and key not in known_ids:
        return "no network here applies the label"
    return None


def _sets(ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    for network_id in ids:
        yield f"m4-{network_id}", "ipv4_addr"
        yield f"m6-{network_id}", "ipv6_addr"


def _all_sets(chains: Iterable[_Chain]) -> Iterator[tuple[str, str]]:
    lines = [line for chain in chains for line in chain.lines]
    fields = (field for x in lines for field in (x.source, x.not_source, x.destination, x.not_destination))
    used = {name for field in fields for name in field}
    if not used.isdisjoint({"@all4", "@all6"}):
        yield "all4", "ipv4_addr"
        yield "all6", "ipv6_addr"


def _chains(chain: _Chain, rules: Sequence[Rule], network: Network, mark: str) -> Iterator[_Chain]:
    """A direction's chain; then those that its ports lead to, in-ID/1, in-ID/2, ..., and the one behind all of them."""
    parts = tuple(planned(rules))
    alone = [part for part in parts if isinstance(part, Rule)]
    if len(alone) == len(parts):
        return iter((replace(chain, lines=tuple(_lines(alone, network))),))
    from calico_rkt.compiler.targets.nftables.parts import Ports, Rest

    led = [one.parts for part in parts if isinstance(part, Ports) for one in part.chains]
    rest = [part.parts for part in parts if isinstance(part, Rest)]
    bodies = [*((f"Of {chain.name}: for some ports.", found) for found in led)]
    bodies += ((f"Of {chain.name}: behind its ports.", found) for found in rest)
    behind = [_Line("ip", f"goto {chain.name}/{len(bodies)}")] * len(rest)
    lines: list[_Line] = []
    first = 1
    for part in parts:
        if isinstance(part, Ports):
            lines.append(_line_of_ports(part, chain.name, first))
            first += len(part.chains)
        else:
            lines += behind if isinstance(part, Rest) else _lines((part,), network)
    more = tuple(
        _Chain(f"{chain.name}/{n}", about, (*_lines(body, network), *(behind if n <= len(led) else ())), mark)
        for n, (about, body) in enumerate(bodies, 1)
    )
    comment = f"{chain.comment} chains={len(more)}" if more else chain.comment
    return iter((replace(chain, lines=tuple(lines), comment=comment), *more))


def _lines(parts: Iterable[Rule | Map], network: Network) -> Iterator[_Line]:
    for part in parts:
        if isinstance(part, Rule):
            yield from _lines_of(part, _verdict(part.action, network))
        else:
            yield _line_of_map(part)


def _verdict(action: Action, network: Network) -> str:
    if action is Action.LOG:
        within = f"limit rate {network.log_limit.rate}/second burst {network.log_limit.burst} packets"
        return f'{within} log prefix "calico-rkt {network.id}: "'
    return "return" if action is Action.ALLOW else "drop"


def planned(rules: Sequence[Rule]) -> Iterable[Rule | Map | Ports | Rest]:
    """The rules as they are written: a rule as lines, a map in the place of many, or what leads ports to chains."""
    if len(rules) <= FEW:
        return rules  # an ordinary ADD need not import what makes maps
    from calico_rkt.compiler.targets.nftables.plan import plan

    return plan(rules, FEW)


def _line_of_ports(found: Ports, chain: str, first: int) -> _Line:
    """The map that leads to chains of this one, numbered from first on."""
    from calico_rkt.compiler.targets.nftables.maps import words_of_ports

    family = () if found.version is None else (f"ipv{found.version}",)
    return _Line("ip", words_of_ports(found, chain, first), nfproto=family)


def _line_of_map(found: Map) -> _Line:
    from calico_rkt.compiler.targets.nftables.maps import l4proto, nfproto, words

    return _Line(
        ip="ip" if found.version == 4 else "ip6",
        source=set_names(found.source.within, found.version),
        not_source=set_names(found.source.without, found.version),
        destination=set_names(found.destination.within, found.version),
        not_destination=set_names(found.destination.without, found.version),
        l4proto=l4proto(found),
        nfproto=nfproto(found),
        verdict=words(found),
    )


def _lines_of(rule: Rule, verdict: str) -> Iterator[_Line]:
    m = rule.match
    for source in lookups(m.source):
        for destination in lookups(m.destination):
            # A set of addresses is of one family, so a rule about both that looks into one becomes two.
            one_family = m.ip_version is not None or (source, destination) == (Lookup(), Lookup())
            for version in (m.ip_version,) if one_family else (4, 6):
                yield _line(m, version, source, destination, verdict)


def _line(m: Match, version: int | None, source: Lookup, destination: Lookup, verdict: str) -> _Line:
    s, d, not_icmp = m.source, m.destination, m.not_icmp
    addresses = bool(source != Lookup() or destination != Lookup() or versions(s, d))
    numbers = bool(s.ports or s.not_ports or d.ports or d.not_ports)
    icmp = m.icmp is not None or not_icmp is not None
    # nft itself puts the family before an address or an ICMP field, and the protocol before a port.
    return _Line(
        ip="ip" if version == 4 else "ip6",
        source=[*set_names(source.within, version), *_nets(s.nets)],
        not_source=[*set_names(source.without, version), *_nets(s.not_nets)],
        destination=[*set_names(destination.within, version), *_nets(d.nets)],
        not_destination=[*set_names(destination.without, version), *_nets(d.not_nets)],
        l4proto=() if m.protocol is None or numbers or icmp else (m.protocol,),
        not_l4proto=() if m.not_protocol is None else (m.not_protocol,),
        nfproto=() if version is None or addresses or icmp else (f"ipv{version}",),
        transport=_TRANSPORTS.get(m.protocol or 0, ""),
        sport=_ports(s.ports),
        not_sport=_ports(s.not_ports),
        dport=_ports(d.ports),
        not_dport=_ports(d.not_ports),
        icmp="icmp" if m.protocol == ICMP else "icmpv6",
        icmp_type=() if m.icmp is None else (m.icmp.type,),
        icmp_code=() if m.icmp is None or m.icmp.code is None else (m.icmp.code,),
        not_icmp_type=() if not_icmp is None or not_icmp.code is not None else (not_icmp.type,),
        not_icmp_pair=() if not_icmp is None or not_icmp.code is None else (f"{not_icmp.type} . {not_icmp.code}",),
        verdict=verdict,
    )


def _nets(field: Iterable[Net | NameRef]) -> list[str]:
    return _one_or_set(str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in nets(field))


def _ports(field: Iterable[PortRange | NameRef]) -> list[str]:
    return _one_or_set(str(p.lo) if p.lo == p.hi else f"{p.lo}-{p.hi}" for p in ports(field))


def _one_or_set(values: Iterable[str]) -> list[str]:
    """One value as it is, several as an anonymous set, none as nothing."""
    found = list(dict.fromkeys(values))
    return found if len(found) < 2 else [f"{{ {', '.join(found)} }}"]
