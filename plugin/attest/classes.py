"""Two tables and a host of many endpoints in; the same of few that stand for all of them, out.

Endpoints are of one class where neither table, no reviewed rule and nothing of the host tells them apart: they are of
one network and one device group, in the same nets and patterns that are named, and rules and elements that name one of
them are there for each, with its own name and addresses in their place. To exchange two of a class, wherever they are
named, leaves both tables as they are: so a packet fares as the one in which the two are exchanged.

A packet speaks of five endpoints at most: whose interface it comes by, whose addresses are its source, its destination
(which says where it leaves) and the two ends of an error's flow. One of the host has no first; it leaves where it likes
instead. Each is exchanged for one of the first five of its class, one and the same for the same one, others for others.
So where the tables treat all packets alike that speak of these only, they treat all packets alike.

An endpoint that something names together with another one (a pair of its interface and another's address), or that has
a name or an address that another has, too, is a class of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.attest.mentions import Mentions, mentions, owners
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.ruleset import Table
from calico_rkt.plugin.attest.values import SPECIAL, is_special
from calico_rkt.plugin.attest.verdict_maps import Range, is_like, range_of
from calico_rkt.plugin.enforce.nft.elements import OURS

OF_A_CLASS = 5


@dataclass(frozen=True)
class Fewer:
    """The tables and the host with the endpoints that stand for all, and the others, which nothing here speaks of."""

    tables: tuple[Table, ...]
    wanted: Wanted
    gone: tuple[Known, ...] = ()


def fewer(tables: Sequence[Table], wanted: Wanted) -> Fewer:
    """tables: those that are compared; their interfaces are in the same device groups."""
    gone = [e for members in classes(tables, wanted) for e in members[OF_A_CLASS:]]
    names = {e.ifname for e in gone}
    hidden = frozenset(text for e in gone for text in (e.ifname, *map(str, e.addresses)))
    return Fewer(
        tuple(_without(t, hidden) for t in tables),
        replace(wanted, endpoints=tuple(e for e in wanted.endpoints if e.ifname not in names)),
        tuple(gone),
    )


def classes(tables: Sequence[Table], wanted: Wanted) -> list[list[Known]]:
    """All endpoints, class by class, in the order in which they are recorded."""
    own, apart = owners(wanted.endpoints)
    said = mentions(tables, wanted, own)
    apart |= said.apart | _odd(wanted)
    patterns = [t for t in said.general if t.endswith("*")]
    places = _nets_of({a for e in wanted.endpoints for a in e.addresses}, said)
    groups = tables[0].groups
    found: dict[object, list[Known]] = {}
    for number, e in enumerate(wanted.endpoints):
        key: object = number
        if number not in apart:
            key = (
                (e.network_id, e.ip_masq, e.settled, groups.get(e.ifname)),
                frozenset(p for p in patterns if is_like(e.ifname, p)),
                tuple((a.version, is_special(a), places[a]) for a in e.addresses),
                frozenset(said.patterns.get(number, ())),
            )
        found.setdefault(key, []).append(e)
    return list(found.values())


def _odd(wanted: Wanted) -> set[int]:
    """Endpoints that have a name or an address of the host's, or a name that may be read as something else."""
    host = {*wanted.locals, *wanted.host.values()}
    names = {wanted.uplink, *wanted.others, "lo"}
    prefix = OURS.rstrip("*")
    return {
        n
        for n, e in enumerate(wanted.endpoints)
        if not host.isdisjoint(e.addresses) or e.ifname in names or not e.ifname.startswith(prefix)
    }


def _nets_of(addresses: Iterable[Address], said: Mentions) -> Mapping[Address, frozenset[int]]:
    """Of each address all nets and ranges that are named and that it is in, by number."""
    texts = {*said.general, *(t for special in SPECIAL.values() for t in special)}
    ranges: list[Range] = sorted({r for r in map(range_of, texts) if r is not None and r[0]})
    # At one number a range begins before an address is looked at, and ends behind it.
    events = [(v, lo, 0, n) for n, (v, lo, _) in enumerate(ranges)]
    events += [(v, hi, 2, n) for n, (v, _, hi) in enumerate(ranges)]
    events += [(a.version, int(a), 1, -1) for a in addresses]
    found: dict[tuple[int, int], frozenset[int]] = {}
    inside: set[int] = set()
    for version, at, kind, n in sorted(events):
        if kind == 1:
            found[version, at] = frozenset(inside)
        elif kind:
            inside.remove(n)
        else:
            inside.add(n)
    return {a: found[a.version, int(a)] for a in addresses}


def _without(table: Table, hidden: frozenset[str]) -> Table:
    """The table without elements that speak of these: no packet of another endpoint is in them."""
    return replace(
        table,
        sets={
            name: replace(
                known, elements={k: v for k, v in known.elements.items() if hidden.isdisjoint(k.split(" . "))}
            )
            for name, known in table.sets.items()
        },
    )
