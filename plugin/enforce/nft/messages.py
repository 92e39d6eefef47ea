"""Endpoints in; the nfnetlink messages that put their elements in place or take them out, as one transaction, out.

The same elements as `elements.pairs` says in nft's words. libnftables takes these words too, but reads every set's
elements out of the kernel before it adds one: an ADD took the longer the more endpoints there were.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence

from calico_rkt.plugin.enforce.nft.elements import TABLE, EndpointElements
from calico_rkt.plugin.enforce.nft.kernel_numbers import text
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import attribute
from calico_rkt.plugin.link.numbered import Batch, Batches, Messages

_BEGIN, _END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_NFTABLES, _INET = 10, 1  # NFNL_SUBSYS_NFTABLES, NFPROTO_INET
_NEW_ELEMENT, _DELETE_ELEMENT = _NFTABLES << 8 | 12, _NFTABLES << 8 | 14
_BATCH_GENERATION = 1
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1  # NFTA_SET_ELEM_LIST_*
_KEY, _VALUE = 1, 1  # NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE
_IFNAME = 16  # bytes of an interface's name in a key
_BATCHES = Batches()
_GENERAL = struct.Struct(">BBH")  # nfgenmsg

Element = tuple[str, bytes]
"""A set's name, and the key."""


def elements(endpoint: EndpointElements) -> tuple[Element, ...]:
    """Everything that the kernel holds of an endpoint."""
    return tuple(_elements(endpoint))


def _elements(endpoint: EndpointElements) -> Iterator[Element]:
    name, network_id = endpoint.host_ifname.encode().ljust(_IFNAME, b"\0"), endpoint.network_id
    for address in endpoint.addresses:
        version, packed = address.version, address.packed
        yield f"m{version}-{network_id}", packed
        yield f"all{version}", packed
        yield f"source{version}", name + packed
        if endpoint.ip_masq:
            yield f"masq{version}", packed
    yield "endpoints", own_key(endpoint.host_ifname, endpoint.group)


def own_key(ifname: str, group: int) -> bytes:
    """The key of an interface in a device group."""
    return ifname.encode().ljust(_IFNAME, b"\0") + group_key(group)


def group_key(group: int) -> bytes:
    """A device group as a key has it."""
    return group.to_bytes(4, sys.byteorder)


def adding(found: Sequence[Element], generation: int | None, *, fresh: bool = False) -> Batch:
    """A transaction; an element that is there already is no error, or with fresh one for all (EEXIST)."""
    flags = netlink.REQUEST | netlink.CREATE | (netlink.EXCL if fresh else 0)
    return _transaction(_NEW_ELEMENT, flags, found, generation)


def deleting(found: Sequence[Element], generation: int | None) -> Batch:
    """A transaction, which the kernel refuses where one element is not there."""
    return _transaction(_DELETE_ELEMENT, netlink.REQUEST, found, generation)


def begin(generation: int | None) -> bytes:
    """The head of a transaction, which is refused when the ruleset is of another generation than the one given."""
    wanted = b"" if generation is None else attribute(_BATCH_GENERATION, generation.to_bytes(4, "big"))
    return netlink.message(_BEGIN, netlink.REQUEST, _GENERAL.pack(0, 0, _NFTABLES) + wanted)


def end() -> bytes:
    """The end of a transaction."""
    return netlink.message(_END, netlink.REQUEST, _GENERAL.pack(0, 0, _NFTABLES))


def _transaction(kind: int, flags: int, found: Sequence[Element], generation: int | None) -> Batch:
    """One message a set; what differs from one endpoint to the next, also of another network, is put into a shape."""
    names, keys = zip(*found, strict=True)
    sets = list(dict.fromkeys(names))
    of_set = tuple([sets.index(name) for name in names])
    called = [name.encode() for name in sets]
    meant = () if generation is None else (generation.to_bytes(4, "big"),)

    def encode(values: Sequence[bytes]) -> Messages:
        first, behind = len(meant), len(meant) + len(called)
        of = int.from_bytes(values[0], "big") if meant else None
        elements = _encoded(kind, flags, values[first:behind], of_set, values[behind:])
        return Messages(b"".join([begin(of), *elements, end()]), 1, 2)

    return _BATCHES.batch((kind, flags, of_set, bool(meant)), encode, (*meant, *called, *keys))


def _encoded(
    kind: int, flags: int, sets: Sequence[bytes], of_set: Sequence[int], keys: Sequence[bytes]
) -> Iterator[bytes]:
    """sets: their names, all different; of_set: of each key, which of them it is in."""
    elements: list[list[bytes]] = [[] for _ in sets]
    for number, key in zip(of_set, keys, strict=True):
        elements[number].append(_nested(_LIST_ELEMENT, _nested(_KEY, attribute(_VALUE, key))))
    head = _GENERAL.pack(_INET, 0, 0) + attribute(_LIST_TABLE, text(TABLE))
    for name, items in zip(sets, elements, strict=True):
        body = attribute(_LIST_SET, name + b"\0") + _nested(_LIST_ELEMENTS, b"".join(items))
        yield netlink.message(kind, flags, head + body)


def _nested(kind: int, value: bytes) -> bytes:
    return attribute(kind, value, nested=True)
