"""Addresses in, the kernel's conntrack entries of these addresses gone."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from errno import EINVAL, ENOENT, EOPNOTSUPP
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNSPEC

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.typed import TypeVar
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.sockets import host_socket

T = TypeVar("T")

_GET, _DELETE = 0x101, 0x102
# linux/netfilter/nfnetlink_conntrack.h
_ORIG, _REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_TUPLE_IP = 1
_SRC, _DST = 0, 1
_IP_ATTRIBUTES = {4: (1, 2), 6: (3, 4)}
_FAMILIES = {0: AF_UNSPEC, 4: AF_INET, 6: AF_INET6}
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_FEW = 16_384
_SHOWN = 200
_SIZES: dict[int, int] = {AF_INET: 4, AF_INET6: 16}
_LENGTH, _HEAD, _TYPE = struct.Struct("=H"), struct.Struct("=HH"), 0x3FFF


def flush_flows(addresses: Iterable[Address]) -> None:
    """Forget every flow that an address takes part in, as either end before or after NAT.

    CniError 5 when flows are tracked here but can't be reached: an address handed out again would inherit them.
    """
    wanted = tuple(addresses)
    if not wanted or not _flows():
        return
    try:
        with host_socket(netlink.NETFILTER) as socket:
            left = tuple(a for a in wanted if a.version == 6 or not _flush(socket, a))
            if left:
                _delete(socket, _find(socket, left, _flows()))
    except OSError as e:
        raise _unreachable(", ".join(map(str, wanted)), e) from e


def _unreachable(whose: str, e: OSError) -> CniError:
    return CniError(
        Code.IO,
        f"the flows of {whose[:_SHOWN]} can't be removed from conntrack: {e.strerror}",
        "the kernel module nf_conntrack_netlink is needed",
    )


def forget(addresses: Collection[Address], nets: Collection[Net], spared: Collection[Address]) -> None:
    """Forget every flow that one of these addresses takes part in, or any of these nets but what is spared there.

    One walk through all flows, 10 us each, however many addresses. CniError as flush() has it.
    """
    if not (addresses or nets) or not _flows():
        return
    wanted, but = {a.packed for a in addresses}, {a.packed for a in spared}
    bounds = [(n[0].packed, n[-1].packed) for n in nets]

    def is_meant(packed: bytes) -> bool:
        if packed in wanted:
            return True
        return packed not in but and any(a <= packed <= b for a, b in bounds if len(a) == len(packed))

    versions = {a.version for a in addresses} | {n.version for n in nets}
    try:
        with host_socket(netlink.NETFILTER) as socket:
            found: list[bytes] = []

            def look(body: bytes) -> None:
                if any(map(is_meant, ends(body))):
                    found.append(_deletion(body[:4], netlink.attributes(body[4:])))

            socket.dump_through(_GET, _nfgenmsg(versions.pop() if len(versions) == 1 else 0), look)
            _delete(socket, found)
    except OSError as e:
        raise _unreachable(", ".join(map(str, (*addresses, *nets))), e) from e


def entries(read: Callable[[bytes], T]) -> list[T]:
    """What read makes of every flow of this namespace, as the kernel tells of it; CniError as flush() has it."""
    if not _flows():
        return []
    try:
        with host_socket(netlink.NETFILTER) as socket, netlink.KNOWN_SHAPE:
            return list(map(read, socket.dump(_GET, _nfgenmsg(0))))
    except OSError as e:
        raise _unreachable("this host", e) from e


def delete_flows(found: Iterable[bytes]) -> None:
    """Forget these of entries(); those that ended meanwhile, or gave way to others, are none of them."""
    try:
        with host_socket(netlink.NETFILTER) as socket:
            _delete(socket, (_deletion(b[:4], netlink.attributes(b[4:])) for b in found))
    except OSError as e:
        raise _unreachable("this host", e) from e


def ends(body: bytes) -> tuple[bytes, ...]:
    """The addresses of a flow as conntrack tells of it: source and destination before NAT, and of the answer."""
    with netlink.KNOWN_SHAPE:
        return _ends(body)


def _ends(body: bytes) -> tuple[bytes, ...]:
    (length,) = _LENGTH.unpack_from(body, 4)
    size = _SIZES.get(body[0])
    second = 4 + ((length + 3) & ~3)
    whole = size is not None and len(body) >= second + 16 + 2 * size
    if size is not None and whole and _is_tuple(body, 4, _ORIG, size) and _is_tuple(body, second, _REPLY, size):
        return tuple(body[at + 12 + skip : at + 12 + skip + size] for at in (4, second) for skip in (0, size + 4))
    found = netlink.attributes(body[4:])
    return tuple(ip for t in (_ORIG, _REPLY) for ip in _ips(found.get(t, b"")))


def _is_tuple(body: bytes, at: int, kind: int, size: int) -> bool:
    """Whether the attribute there is a tuple of the kernel's usual order: its addresses first, the source before."""
    source, destination = _IP_ATTRIBUTES[4 if size == 4 else 6]
    heads = (_HEAD.unpack_from(body, at + skip) for skip in (0, 4, 8, 12 + size))
    (_, outer), (_, ips), *both = heads
    return (outer & _TYPE, ips & _TYPE) == (kind, _TUPLE_IP) and both == [(size + 4, source), (size + 4, destination)]


def _flush(socket: netlink.Socket, address: Address) -> bool:
    """Let the kernel do all of it (since Linux 6.9); False where it does not know how, and nothing is done.

    It passes over empty buckets 20 times faster here than when it lists flows. An older one takes the first part of
    the request for a tuple that lacks its ports, and refuses it. Never with IPv6: there the kernel compares the
    wrong way round (ctnetlink_filter_match_tuple, still so in Linux 6.18) and would forget everybody else's flows.
    """
    for request in _requests(address):
        (error,) = socket.batch(netlink.message(_DELETE, netlink.REQUEST, request))
        if error is None:
            continue
        if error.errno in (EINVAL, EOPNOTSUPP):
            return False
        raise error
    return True


def _flows() -> int:
    """How many flows this network namespace has; 0 where nothing is tracked at all."""
    try:
        return int(_COUNT.read_text())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as e:
        raise CniError(Code.IO, f"{_COUNT} can't be read: {e}") from e


def _find(socket: netlink.Socket, wanted: tuple[Address, ...], flows: int) -> list[bytes]:
    """The messages that delete the flows of wanted.

    A walk through the kernel's table costs 9 ms at 262,144 buckets, however few flows are in it, and a
    filter knows one side of one tuple: so one walk that returns all while that is cheap, else four an address (not
    for IPv6: see _flush).
    """
    everything = flows <= _FEW or any(address.version == 6 for address in wanted)
    requests = [_nfgenmsg(0)] if everything else [request for address in wanted for request in _requests(address)]
    found: dict[bytes, None] = {}

    def look(body: bytes) -> None:
        if any(address.packed in body for address in wanted):
            flow = netlink.attributes(body[4:])
            # An older kernel than 5.8 knows no filter and sends everything: compare in any case.
            if any(_matches(flow, address) for address in wanted):
                found[_deletion(body[:4], flow)] = None

    for request in requests:
        socket.dump_through(_GET, request, look)
    return list(found)


def _delete(socket: netlink.Socket, messages: Iterable[bytes]) -> None:
    for batch in netlink.chunks(tuple(messages)):
        for error in socket.batch(batch):
            if error is not None and error.errno != ENOENT:  # one that has ended meanwhile is as good
                raise error


def _requests(address: Address) -> list[bytes]:
    """A filter knows one side of one tuple: four an address."""
    return [_request(address, t, side) for t in (_ORIG, _REPLY) for side in (_SRC, _DST)]


def _request(address: Address, tuple_type: int, side: int) -> bytes:
    """The body of a dump or a deletion filtered by one side of one of a flow's two tuples."""
    ip = netlink.attribute(_IP_ATTRIBUTES[address.version][side], address.packed)
    flags = netlink.attribute(tuple_type, struct.pack("=I", 1 << side))
    return (
        _nfgenmsg(address.version)
        + netlink.attribute(tuple_type, netlink.attribute(_TUPLE_IP, ip, nested=True), nested=True)
        + netlink.attribute(_FILTER, flags, nested=True)
    )


def _matches(found: dict[int, bytes], address: Address) -> bool:
    return any(address.packed in _ips(found.get(t, b"")) for t in (_ORIG, _REPLY))


def _ips(flow: bytes) -> Iterator[bytes]:
    yield from netlink.attributes(netlink.attributes(flow).get(_TUPLE_IP, b"")).values()


def _deletion(nfgenmsg: bytes, found: dict[int, bytes]) -> bytes:
    """Deletes this very flow: by its original tuple and zone, and by id, so that not even a successor is hit."""
    with netlink.KNOWN_SHAPE:
        body = nfgenmsg + netlink.attribute(_ORIG, found[_ORIG], nested=True)
    for kind in (_ZONE, _ID):
        if kind in found:
            body += netlink.attribute(kind, found[kind])
    return netlink.message(_DELETE, netlink.REQUEST, body)


def _nfgenmsg(version: int) -> bytes:
    return struct.pack("=BBH", _FAMILIES[version], 0, 0)
