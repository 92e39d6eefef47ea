"""A map of the plan in, the words of nftables for it out: its key, then an element a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

from calico_rkt.compiler.ir.model import ICMP, SCTP, TCP, UDP, Action
from calico_rkt.compiler.packets.space import DESTINATION, DPORT, ICMP_CODE, ICMP_TYPE, SOURCE, SPORT, V6
from calico_rkt.compiler.targets.nftables.parts import Map, Ports
from calico_rkt.compiler.targets.nftables.peers import Lookup, set_names

_KEYS = {
    SOURCE: "{ip} saddr",
    DESTINATION: "{ip} daddr",
    SPORT: "{transport} sport",
    DPORT: "{transport} dport",
    ICMP_TYPE: "{icmp} type",
    ICMP_CODE: "{icmp} code",
}
_TRANSPORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_VERDICTS = {Action.ALLOW: "return", Action.DENY: "drop"}
_INDENT = " " * 8


def words(found: Map) -> str:
    """`ip saddr . tcp dport vmap { ... }`, or the verdict alone where the map has no dimension.

    >>> from calico_rkt.compiler.ir.model import Rule
    >>> from calico_rkt.compiler.targets.nftables.peers import Lookup
    >>> from calico_rkt.compiler.targets.nftables.parts import Element
    >>> elements = (Element(((80, 80),), (Rule(Action.ALLOW),)), Element(((81, 90),), (Rule(Action.DENY),)))
    >>> print(words(Map(4, 6, Lookup(), Lookup(), (DPORT,), elements)))
    tcp dport vmap {
                80 : return,
                81-90 : drop,
            }
    """
    if not found.dimensions:
        return _VERDICTS[found.elements[0].action]
    lines = "".join(f"{_INDENT}    {element},\n" for element in elements(found))
    return f"{key(found)} vmap {{\n{lines}{_INDENT}}}"


def words_of_ports(found: Ports, chain: str, first: int) -> str:
    """`tcp dport vmap { 22 : goto in-web/1, ... }`; the chains are numbered from first on."""
    lines = "".join(f"{_INDENT}    {element},\n" for element in leads(found, chain, first))
    return f"{_TRANSPORTS[found.protocol]} dport vmap {{\n{lines}{_INDENT}}}"


def leads(found: Ports, chain: str, first: int) -> Iterator[str]:
    """Each element of what leads away: `80-90 : goto in-web/2`."""
    ports = sorted((ports, n) for n, one in enumerate(found.chains, first) for ports in one.ports)
    return (f"{_number(*port)} : goto {chain}/{n}" for port, n in ports)


def front(found: Map) -> str:
    """What holds of a packet before the map is asked: `ip saddr @m4-web`, `meta l4proto 47`; perhaps nothing."""
    ip = "ip" if found.version == 4 else "ip6"
    peers = [
        f"{ip} {end} {sign}{name}"
        for end, lookup in (("saddr", found.source), ("daddr", found.destination))
        for sign, ids in (("", lookup.within), ("!= ", lookup.without))
        for name in set_names(ids, found.version)
    ]
    protocols = (f"meta l4proto {number}" for number in l4proto(found))
    return " ".join([*peers, *protocols, *(f"meta nfproto {family}" for family in nfproto(found))])


def key(found: Map) -> str:
    """What the map is asked by: `ip saddr . tcp dport`; empty where it has no dimension."""
    return " . ".join(_key(found, d) for d in found.dimensions)


def nfproto(found: Map) -> tuple[str, ...]:
    """The family, where nothing else that is looked at is of one family only."""
    peers = found.source != Lookup() or found.destination != Lookup()
    said = peers or not {SOURCE, DESTINATION, ICMP_TYPE, ICMP_CODE}.isdisjoint(found.dimensions)
    return () if found.version is None or said else (f"ipv{found.version}",)


def l4proto(found: Map) -> tuple[int, ...]:
    """The protocol, where nothing that the map is asked by is of one protocol only."""
    said = not {SPORT, DPORT, ICMP_TYPE, ICMP_CODE}.isdisjoint(found.dimensions)
    return () if found.protocol is None or said else (found.protocol,)


def elements(found: Map) -> Iterator[str]:
    """Each element: `10.0.0.0/8 . 80 : return`."""
    written = [_address if d in (SOURCE, DESTINATION) else _number for d in found.dimensions]
    for element in found.elements:
        values = " . ".join(write(*value) for write, value in zip(written, element.values, strict=True))
        yield f"{values} : {_VERDICTS[element.action]}".removeprefix(" : ")


def _key(found: Map, dimension: int) -> str:
    return _KEYS[dimension].format(
        ip="ip" if found.version == 4 else "ip6",
        transport=_TRANSPORTS.get(found.protocol or 0, ""),
        icmp="icmp" if found.protocol == ICMP else "icmpv6",
    )


def _number(lo: int, hi: int) -> str:
    return str(lo) if lo == hi else f"{lo}-{hi}"


def _address(lo: int, hi: int) -> str:
    kind: Callable[[int], IPv4Address | IPv6Address]
    base, kind, bits = (0, IPv4Address, 32) if hi < V6 else (V6, IPv6Address, 128)
    first, size = lo - base, hi - lo + 1
    if size == 1:
        return str(kind(first))
    if size & size - 1 == 0 and first % size == 0:
        return f"{kind(first)}/{bits - size.bit_length() + 1}"
    return f"{kind(first)}-{kind(hi - base)}"
