"""A space of packets and the host in; the packets that there can be, as boxes, with the hooks that they pass, out.

Where they come in, where the host's routes lead them (which are compared by themselves), what conntrack calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMP, ICMPV6
from calico_rkt.plugin.attest.boxes import Box
from calico_rkt.plugin.attest.conditions import NOT_TRACKED
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.values import STRANGE, is_special

FORWARDED, TO_HOST, FROM_HOST = (
    ("prerouting", "forward", "postrouting"),
    ("prerouting", "input"),
    ("output", "postrouting"),
)
_ASKS = {4: (8, 13, 15, 17), 6: (128, 139)}
_ANSWERS = {4: (0, 14, 16, 18), 6: (129, 140)}
_ERRORS = {4: (3, 4, 5, 11, 12), 6: tuple(range(1, 128))}
_OWN = {4: ICMP, 6: ICMPV6}


def starts(space: Space, wanted: Wanted) -> Iterator[tuple[tuple[str, ...], list[Box]]]:
    """Those that are forwarded, those for the host, those of the host: the hooks that they pass, and the boxes."""
    whole = Box(space.all)
    contents = _contents(space, whole)
    if not contents:
        return
    version = space.version
    here = {a for a in (*wanted.locals, *wanted.host.values()) if a.version == version}
    inside = space.mask("iif", lambda n: n not in ("", "lo"))
    others = space.mask("oif", lambda n: n not in ("", "lo") and n not in wanted.by_ifname and n != STRANGE)

    def sources(a: Address) -> bool:
        return not is_special(a) and (version == 6 or a not in here)

    def leaves(a: Address) -> bool:
        return not is_special(a) and a not in here and not wanted.is_nobody_s(a)

    to_ends = space.ends([(e.ifname, a) for e in wanted.endpoints for a in e.addresses if a.version == version])
    receivers = to_ends | others & space.mask("destination", leaves)
    forward = [
        content.within(sender=inside & space.mask("source", sources), receiver=receivers) for content in contents
    ]
    yield FORWARDED, [b for b in forward if all(b.masks)]

    loop = version == 4 and any(a.is_loopback for a in here)  # with one of these addresses the host has all of them

    def local(a: Address) -> bool:
        return a in here or (loop and a.is_loopback) or str(a) in ("224.0.0.1", "ff02::1")

    own = space.mask("source", lambda a: a in here or a.is_loopback)
    to_host, by_lo = [], space.mask("iif", lambda n: n == "lo")
    none = space.mask("oif", lambda n: not n)
    near = space.mask("source", lambda a: sources(a) or (version == 6 and (a.is_link_local or a.is_unspecified)))
    for content in contents:
        base = content.within(oif=none, destination=space.mask("destination", local))
        to_host.append(base.within(iif=inside, source=near))
        to_self = space.mask("destination", lambda a: a in here or a.is_loopback)
        to_host.append(base.within(iif=by_lo, source=own, destination=to_self))
    yield TO_HOST, [b for b in to_host if all(b.masks)]
    host = space.mask("iif", lambda n: not n)
    anywhere = space.mask("oif", lambda n: bool(n) and n != STRANGE)
    sent = [c.within(iif=host, oif=anywhere, source=own) for c in contents]
    yield FROM_HOST, [b for b in sent if all(b.masks)]


def _contents(space: Space, box: Box) -> list[Box]:
    """Protocols, ports and ICMP that there are of the kind, each field that a packet has not kept at one value."""
    own, version, kind = _OWN[space.version], space.version, space.kind
    is_icmp = space.mask("protocol", lambda p: p == own)
    ported = space.mask("protocol", lambda p: p in (6, 17, 132))
    bare = space.mask("protocol", lambda p: p not in (6, 17, 132, own))
    types: Mapping[Kind, Callable[[int], bool]] = {
        Kind.NEW: lambda t: t in _ASKS[version] or (version == 6 and t in NOT_TRACKED),
        Kind.REPLY: lambda t: t in _ANSWERS[version],
        Kind.LATER: lambda t: t in _ASKS[version],
        Kind.ERROR: lambda t: t in _ERRORS[version],
        Kind.INVALID: lambda t: not (version == 6 and t in NOT_TRACKED) and t not in _ASKS[version],
    }
    icmp = space.mask("icmp", lambda i: types[kind](i.type))
    first = {"first": 1, "last": 1} if kind is not Kind.ERROR else {}
    found = [box.within(protocol=is_icmp, icmp=icmp, sport=1, dport=1, **first)]
    if kind is not Kind.ERROR:
        found.append(box.within(protocol=ported, icmp=1, **first))
        found.append(box.within(protocol=bare, icmp=1, sport=1, dport=1, **first))
    return [b for b in found if all(b.masks)]
