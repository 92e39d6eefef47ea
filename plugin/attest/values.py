"""Two tables and what is wanted in; for each field of a packet a few values that stand for all others, out.

A rule asks of an address whether it is in a range, of a port the same, of an interface its name. So between the edges
of all that rules, sets and reviewed lines name, one value fares as any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as joined
from itertools import islice
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, SCTP, TCP, UDP, Icmp
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.targets.nftables.json_words import value_words
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.probes import HIGH, OUTSIDE
from calico_rkt.plugin.attest.ruleset import Table
from calico_rkt.plugin.attest.verdict_maps import range_of

STRANGE = "crk?"
"""An interface with a name of ours that nobody has recorded."""
SPECIAL = {
    4: ("0.0.0.0/8", "127.0.0.0/8", "127.0.0.1", "169.254.0.0/16", "224.0.0.0/4", "224.0.0.1", "255.255.255.255"),
    6: ("::", "::1", "fe80::/10", "ff00::/8", "ff02::/16", "ff02::1"),
}
_ICMP_TYPES = {
    4: (0, 3, 4, 5, 8, 11, 12, 13, 42),
    6: (1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 135, 136, 137, 143, 200),
}


@dataclass(frozen=True)
class Values:
    """Of each field the values, in the order in which a witness should have them. known: names that are interfaces."""

    names: tuple[str, ...]
    known: frozenset[str]
    addresses: tuple[Address, ...]
    protocols: tuple[int, ...]
    ports: tuple[int, ...]
    icmp: tuple[Icmp, ...]


@dataclass
class _Said:
    """What rules and sets name: texts of values, by what they are about."""

    names: set[str]
    addresses: set[str]
    protocols: set[str]
    ports: set[str]
    types: set[str]
    codes: set[str]

    def about(self, place: Any) -> set[str] | None:  # noqa: ANN401 - nft's JSON
        if not isinstance(place, dict) or len(place) != 1:
            return None
        ((kind, what),) = place.items()
        key = what.get("field") or what.get("key") if isinstance(what, dict) else ""
        if key in ("iifname", "oifname", "iif", "oif"):
            return self.names
        if key in ("sport", "dport"):
            return self.ports
        if kind == "payload" and key in ("type", "code"):
            return self.types if key == "type" else self.codes
        if key in ("l4proto", "protocol") and (kind, key) != ("meta", "protocol"):
            return self.protocols
        return self.addresses if isinstance(key, str) and key.endswith(("saddr", "daddr")) else None


def values_of(tables: Iterable[Table], wanted: Wanted, version: int, gone: Collection[Known] = ()) -> Values:
    """tables: those that are compared; of one family. gone: endpoints for which others stand: no value is of them."""
    said = _Said(set(), set(), set(), set(), set(), set())
    for table in tables:
        _of_table(table, said)
    for network in wanted.networks.values():
        for rule in (*network.ingress, *network.egress):
            m = rule.match
            said.protocols |= {str(p) for p in (m.protocol, m.not_protocol) if p is not None}
            said.types |= {str(i.type) for i in (m.icmp, m.not_icmp) if i is not None}
            said.codes |= {str(i.code) for i in (m.icmp, m.not_icmp) if i is not None and i.code is not None}
            for side in (m.source, m.destination):
                said.addresses |= {str(n) for n in nets((*side.nets, *side.not_nets))}
                said.ports |= {f"{p.lo}-{p.hi}" for p in ports((*side.ports, *side.not_ports))}
    said.addresses |= {str(a) for a in joined(wanted.by_address, wanted.locals, wanted.host.values())}
    said.addresses |= {str(n) for n in wanted.ranges}
    names, known = _names(said.names - {e.ifname for e in gone}, wanted)
    return Values(
        names,
        known,
        _addresses(said.addresses, wanted, version, {a for e in gone for a in e.addresses}),
        _numbers(said.protocols, 255, (TCP, UDP, ICMP, ICMPV6, SCTP, 47, 253)),
        _numbers(said.ports, 65535, (HIGH, 80)),
        tuple(
            Icmp(t, c)
            for t in _numbers(said.types, 255, _ICMP_TYPES[version])
            for c in _numbers(said.codes, 255, (0, 1))
        ),
    )


def _of_table(table: Table, said: _Said) -> None:
    asked: dict[str, list[list[Any]]] = {}
    for chain in table.chains.values():
        for rule in chain.rules:
            for statement in rule.statements:
                if "match" in statement:
                    _of_match(statement["match"]["left"], statement["match"]["right"], said, asked)
                elif "vmap" in statement:
                    data = statement["vmap"]["data"]
                    right = {"set": [key for key, _ in data["set"]]} if isinstance(data, dict) else data
                    _of_match(statement["vmap"]["key"], right, said, asked)
    for name, every in asked.items():
        for key in table.sets[name].elements if name in table.sets else ():
            for place, part in (pair for places in every for pair in zip(places, key.split(" . "), strict=False)):
                about = said.about(place)
                if about is not None:
                    about.add(part)


def _of_match(left: Any, right: Any, said: _Said, asked: dict[str, list[list[Any]]]) -> None:  # noqa: ANN401
    places = left["concat"] if isinstance(left, dict) and "concat" in left else [left]
    if isinstance(right, str) and right.startswith("@"):
        every = asked.setdefault(right[1:], [])
        if places not in every:
            every.append(places)
        return
    values = (
        right["set"] if isinstance(right, dict) and "set" in right else right if isinstance(right, list) else [right]
    )
    for value in values:
        parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
        for place, part in zip(places, parts, strict=False):
            about = said.about(place)
            if about is not None:
                about.add(value_words(part))


def _names(said: set[str], wanted: Wanted) -> tuple[tuple[str, ...], frozenset[str]]:
    here = (*wanted.by_ifname, wanted.uplink, *wanted.others, "lo")
    made = (n.replace("*", "?") for n in sorted(said))
    return tuple(dict.fromkeys((*here, *made, STRANGE, "?"))), frozenset(here)


def _addresses(said: set[str], wanted: Wanted, version: int, gone: Collection[Address]) -> tuple[Address, ...]:
    last = (1 << (32 if version == 4 else 128)) - 1
    found = [r for r in map(range_of, (*said, *SPECIAL[version])) if r is not None and r[0] == version]
    outside = OUTSIDE[version]
    kind = type(outside)
    chosen: list[Address] = []
    for lo, hi in _parts(((lo, hi) for _, lo, hi in found), last):
        if lo <= int(outside) <= hi and outside not in gone:
            chosen.append(outside)
        else:
            chosen += islice((a for n in range(lo, hi + 1) if (a := kind(n)) not in gone), 1)
    mine = [a for a in wanted.by_address if a.version == version]
    plain = (*({outside} - set(gone)), *mine, wanted.host[version])
    return tuple(dict.fromkeys((*plain, *sorted(chosen, key=lambda a: (not a.is_global and a not in plain, a)))))


def _numbers(said: set[str], last: int, plain: tuple[int, ...]) -> tuple[int, ...]:
    """plain: those that a witness has first; each stands for its part, or is one more of it."""
    found = [r for r in map(range_of, said) if r is not None and r[0] == 0]
    return tuple(
        dict.fromkeys((*plain, *(lo or min(1, hi) for lo, hi in _parts(((lo, hi) for _, lo, hi in found), last))))
    )


def _parts(ranges: Iterable[tuple[int, int]], last: int) -> Iterator[tuple[int, int]]:
    """All from 0 to last, cut at the edges of ranges."""
    edges = sorted({0, *(n for lo, hi in ranges for n in (lo, hi + 1) if 0 <= n <= last)})
    yield from zip(edges, (*(e - 1 for e in edges[1:]), last), strict=True)


def is_special(address: Address) -> bool:
    """Whether no router takes it on: the link's own, many at once, this host's own loop, or none."""
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or (address.version == 4 and (int(address) >> 24 == 0 or int(address) >> 28 == 0xF))
    )
