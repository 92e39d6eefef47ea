"""What an attach asks and tells the kernel of links in, as values; each send of it as one batch out.

Their bytes are those of messages.py and state.py, encoded once for each shape of them (numbered.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.link import messages, netlink, state
from calico_rkt.plugin.link.numbered import REQUEST, Batch, Batches, Messages
from calico_rkt.plugin.process.kept import kept

_LOOKS, _PAIRS, _INSIDES, _OUTSIDES = Batches(), Batches(), Batches(), Batches()


def look(name: str, addresses: Sequence[Address]) -> Batch:
    """Questions: an interface of that name, and the way to each address."""
    versions = tuple([a.version for a in addresses])

    def encode(values: Sequence[bytes]) -> Messages:
        name, *packed = values
        return _asked(b"", [state.asked_named(name), *map(state.asked_way, _read(versions, packed))])

    return _LOOKS.batch(versions, encode, [name.encode(), *[a.packed for a in addresses]])


def pair(host_ifname: str, ifname: str, netns_fd: int, mac: str, mtu: int, alias: bytes, group: int) -> Batch:
    """messages.pair(), and a question: the host's end."""

    def encode(values: Sequence[bytes]) -> Messages:
        name, own, netns, mtu, group, alias = values
        return _asked(messages.pair(name, ifname, own, netns, mtu, group, alias), [state.asked_named(name)])

    name, own = host_ifname.encode(), bytes.fromhex(mac.replace(":", ""))
    values = [name, own, _packed(netns_fd), _packed(mtu), _packed(group), alias]
    return _PAIRS.batch(ifname, encode, values)


def inside(
    index: int,
    addresses: Sequence[Address],
    routes: Sequence[Net],
    metric: int = 0,
    gateways: Mapping[int, Address] = messages.GATEWAYS,
    table: int = 0,
) -> Batch:
    """messages.inside()."""
    versions = tuple([a.version for a in addresses])

    def encode(values: Sequence[bytes]) -> Messages:
        number, *packed = values
        return Messages(
            messages.inside(_index(number), _read(versions, packed), routes, metric, gateways, table), acknowledged=1
        )

    values = [_packed(index), *[a.packed for a in addresses]]
    if metric or table:  # of a container's second network, whose numbers are others each time
        return Batch(encode, values)
    return _INSIDES.batch((versions, _words(routes), gateways[4].packed, gateways[6].packed), encode, values)


def outside(index: int, mac: str, addresses: Sequence[Address], ways: Sequence[Address]) -> Batch:
    """messages.outside(), and questions: the way to each of ways."""
    versions, to = tuple([a.version for a in addresses]), tuple([a.version for a in ways])

    def encode(values: Sequence[bytes]) -> Messages:
        number, own, *packed = values
        found = _read((*versions, *to), packed)
        changes = messages.outside(_index(number), own.hex(":"), found[: len(versions)])
        return _asked(changes, [state.asked_way(a) for a in found[len(versions) :]])

    own = bytes.fromhex(mac.replace(":", ""))
    values = [_packed(index), own, *[a.packed for a in addresses], *[a.packed for a in ways]]
    return _OUTSIDES.batch((versions, to), encode, values)


def _asked(changes: bytes, questions: Sequence[netlink.Question]) -> Messages:
    asked = [netlink.message(kind, REQUEST, body) for kind, body in questions]
    return Messages(b"".join([changes, *asked]), len(asked), 0 if asked else 1)


def _packed(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def _index(packed: bytes) -> int:
    return int.from_bytes(packed, sys.byteorder)


def _read(versions: Sequence[int], packed: Sequence[bytes]) -> list[Address]:
    return [IPv4Address(p) if v == 4 else IPv6Address(p) for v, p in zip(versions, packed, strict=True)]


@kept
def _words(routes: Sequence[Net]) -> str:
    return " ".join(map(str, routes))
