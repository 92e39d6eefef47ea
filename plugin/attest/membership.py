"""Recorded endpoints in; what the table's sets and maps have too much or too little, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.diagnostics import cut_short
from calico_rkt.plugin.attest.guards import INTERVALS, SETS
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.ruleset import Set, Table
from calico_rkt.plugin.link.groups import group_of

_MAPS = {"from_network": "out", "to_network": "in", "network_to_host": "host"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """name: the set's; words: what is wrong with it; elements: the keys that it is about; networks: by id."""

    name: str
    words: str
    elements: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    odd: bool = False
    """Whether it is of another kind, so that its elements may come and go by themselves."""


def wrong_sets(table: Table, wanted: Wanted) -> Iterator[Wrong]:
    """Each set and map that is not what the records say."""
    need, may = wanted_elements(wanted)
    for name in sorted({*need, *SETS, *(n for n in table.sets if n in may or _is_members(n))}):
        found = table.sets.get(name)
        should = need.get(name, {})
        if found is None:
            if should or name in SETS:
                yield Wrong(name, f"{_kind(name)} {name} is not there", tuple(should), _networks(name))
            continue
        odd = _odd(found)
        if odd:
            yield Wrong(name, f"{_kind(name)} {name} {odd}", tuple(should), _networks(name), odd=True)
        allowed = may.get(name, {})
        lacks = tuple(k for k, v in should.items() if found.elements.get(k) != v)
        extra = tuple(k for k, v in found.elements.items() if should.get(k) != v and allowed.get(k) != v)
        if name in _MAPS:  # of a network none of whose endpoints is here
            extra = tuple(k for k in extra if not leads_home(name, k, found.elements[k]))
        if lacks:
            about = _networks(name, (should[k] for k in lacks))
            yield Wrong(name, f"{_kind(name)} {name} lacks {_shown(should, lacks)}", lacks, about)
        if extra:
            words = f"{_kind(name)} {name} has what no endpoint or range here has: {_shown(found.elements, extra)}"
            about = _networks(name, (v for k in extra for v in (should.get(k, ""), found.elements[k])))
            yield Wrong(name, words, extra, about)


Elements = dict[str, dict[str, str]]
"""By set, each key with what it leads to."""


def wanted_elements(wanted: Wanted) -> tuple[Elements, Elements]:
    """What has to be there, and what may be, since an ADD or DEL works on it."""
    return _elements(wanted, settled=True), _elements(wanted, settled=False)


def _elements(wanted: Wanted, *, settled: bool) -> Elements:
    """settled: of endpoints that have to be there, else of all others."""
    found: Elements = {}
    for endpoint in wanted.endpoints:
        if endpoint.settled is settled:
            for name, key, to in _of(endpoint):
                found.setdefault(name, {})[key] = to
    return {**found, **pools(wanted.ranges)} if settled else found


def pools(ranges: Iterable[Net]) -> Elements:
    """The elements of both sets of ranges."""
    nets = tuple(ranges)
    four = collapse_addresses(n for n in nets if isinstance(n, IPv4Network))
    six = collapse_addresses(n for n in nets if isinstance(n, IPv6Network))
    return {"pools4": {_net(n): "" for n in four}, "pools6": {_net(n): "" for n in six}}


def _of(endpoint: Known) -> Iterator[tuple[str, str, str]]:
    for address in endpoint.addresses:
        version = address.version
        yield f"m{version}-{endpoint.network_id}", str(address), ""
        yield f"all{version}", str(address), ""
        yield f"source{version}", f"{endpoint.ifname} . {address}", ""
        if endpoint.ip_masq:
            yield f"masq{version}", str(address), ""
    group = group_of(endpoint.network_id)
    yield "endpoints", own_element(endpoint), ""
    for name, direction in _MAPS.items():
        yield name, str(group), f"goto {direction}-{endpoint.network_id}"


def own_element(endpoint: Known) -> str:
    """By which the set `endpoints` lets its interface take part."""
    return f"{endpoint.ifname} . {group_of(endpoint.network_id)}"


def leads_home(name: str, key: str, to: str) -> bool:
    """Whether an element of a map leads from a network's group to that network's rules."""
    if name not in _MAPS:
        return False
    network_id = to.removeprefix(f"goto {_MAPS[name]}-")
    return network_id != to and str(group_of(network_id)) == key


def _net(net: IPv4Network | IPv6Network) -> str:
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _is_members(name: str) -> bool:
    return name.startswith(("m4-", "m6-"))


def _networks(name: str, chains: Iterable[str] = ()) -> tuple[str, ...]:
    """The networks that a set or map is about, by its name or by where its elements lead."""
    if name in _MAPS:
        return tuple(dict.fromkeys(to.partition("-")[2] for to in chains if "-" in to))
    return (name.partition("-")[2],) if _is_members(name) else ()


def _kind(name: str) -> str:
    return "map" if name in _MAPS else "set"


def _odd(found: Set) -> str:
    kinds = SETS.get(found.name, ("ipv4_addr",) if found.name.startswith("m4-") else ("ipv6_addr",))
    more = tuple(m for m in found.more if not (m == "flag interval" and found.name in INTERVALS))
    if found.type != kinds or found.is_map is not (found.name in _MAPS):
        return f"is of type {' . '.join(found.type)}, not {' . '.join(kinds)}"
    return f"has {', '.join(more)}" if more else ""


def _shown(elements: Mapping[str, str], keys: tuple[str, ...]) -> str:
    words = [f"{k} : {elements[k]}" if elements[k] else k for k in sorted(keys)]
    return cut_short(words, 3)
