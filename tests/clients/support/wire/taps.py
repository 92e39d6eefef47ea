"""A lab's interfaces in, packets put on them and what came out where: the wires, with nothing of ours between.

A container's and the outside's packets go below their IP stack (AF_PACKET), the host's through it. What comes to a
container or the outside is taken from its interface; what comes to the host by raw sockets, which get what netfilter's
input let through. All sockets are this process' own, opened inside each namespace.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.clients.support.lab import Lab
from tests.clients.support.wire import frames
from tests.clients.support.wire.packets import Sent
from tests.kernel.support.enforce_world import GATEWAY_MAC, inside
from tests.patience import slowness

_TO_HOST = (1, 2, 4, 6, 17, 41, 47, 58, 99, 132, 136, 255)
"""The protocols that are listened for on the host."""
_SOL_PACKET, _PACKET_STATISTICS, _OUTGOING, _ETH_P_ALL, _SO_RCVBUFFORCE = 263, 6, 4, 3, 33
_ROOM = 64 << 20
Arrivals = dict[int, set[str]]


class Taps:
    """place -> (namespace by path, interface). Numbers of packets go on from batch to batch: a late one is known."""

    def __init__(self, lab: Lab, places: Mapping[str, tuple[str, str]]) -> None:
        self._stack = contextlib.ExitStack()
        self._wires: dict[str, tuple[socket.socket, str]] = {}
        self._host: list[socket.socket] = []
        self._number = 0
        self._known: dict[int, Sent] = {}
        self._uplink = lab.path("/sys/class/net/out0/address").read_text().strip()
        for place, (namespace, ifname) in places.items():
            self.tap(place, namespace, ifname)
        with inside(f"/proc/{lab.pid}/ns/net"):
            self._senders = {v: self._socket(f, socket.SOCK_RAW, 255) for v, f in frames.FAMILIES.items()}
            self._senders[4].setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            self._host += [
                self._socket(family, socket.SOCK_RAW, protocol)
                for family in frames.FAMILIES.values()
                for protocol in _TO_HOST
            ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def tap(self, place: str, namespace: str, ifname: str) -> None:
        """One more place; with no interface all that there will be, and packets leave by eth0."""
        with inside(namespace):
            made = self._socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            if ifname:
                made.bind((ifname, _ETH_P_ALL))
        self._wires[place] = made, ifname or "eth0"

    def _socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        made = self._stack.enter_context(socket.socket(family, kind, protocol))
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        made.setblocking(False)
        return made

    def send(self, packet: Sent, echo: int | None = None) -> int:
        """Put it on its sender's wire; the number by which it is known. echo: the number of what ICMP answers."""
        self._number += 1
        self._known[self._number] = packet
        data = frames.ip_packet(packet, self._number, echo)
        if packet.place == "host":
            with contextlib.suppress(PermissionError):  # the host's own, dropped on its way out
                self._senders[packet.version].sendto(data, (str(packet.destination), 0))
        else:
            self.put(packet.place, frames.ETHERTYPES[packet.version], data)
        return self._number

    def try_send(self, packet: Sent) -> int | None:
        """The same where the sender's interface may not be there; None: it was not."""
        try:
            return self.send(packet)
        except OSError as e:
            if e.errno not in (errno.ENODEV, errno.ENETDOWN, errno.ENXIO):
                raise
            return None

    def put(self, place: str, ethertype: int, data: bytes, mac: str = "") -> None:
        """A frame from a place that is not the host; to the host, unless a MAC address is given."""
        wire, ifname = self._wires[place]
        usual = self._uplink if place == "outside" else GATEWAY_MAC
        wire.sendto(data, (ifname, ethertype, 0, 0, bytes.fromhex((mac or usual).replace(":", ""))))

    def arrivals(self, expected: Mapping[int, str | None]) -> Arrivals:
        """Where each packet came, by number; waited for until what is expected is there, and then for what is not."""
        missing = {(n, place) for n, place in expected.items() if place is not None}
        found: Arrivals = {}
        begun = time.monotonic()
        quiet = begun
        while True:
            got = list(self.gathered())
            for number, place in got:
                found.setdefault(number, set()).add(place)
                missing.discard((number, place))
            now = time.monotonic()
            if got:
                quiet = now
            if now - quiet > 0.05 * slowness() and (not missing or now - begun > 2 * slowness()):
                break
            select.select([*self._sockets()], [], [], 0.01)
        self._nothing_dropped()
        return found

    def _sockets(self) -> Iterator[socket.socket]:
        yield from (wire for wire, _ in self._wires.values())
        yield from self._host

    def raw(self) -> Iterator[tuple[str, bytes, int]]:
        """Everything that came since the last look: where, the bytes, and of the host's, which have no header in IPv6,
        the protocol."""
        readable = set(select.select([*self._sockets()], [], [], 0)[0])
        for place, (wire, _) in self._wires.items():
            with contextlib.suppress(BlockingIOError, OSError):
                if wire not in readable:
                    continue
                while True:
                    data, address = wire.recvfrom(65536)
                    if address[2] != _OUTGOING:
                        yield place, data, 0
        for one in readable.intersection(self._host):
            with contextlib.suppress(BlockingIOError):
                while True:
                    yield "host", one.recv(65536), one.proto if one.family == socket.AF_INET6 else 0

    def gathered(self) -> Iterator[tuple[int, str]]:
        """The numbers of our packets that came since the last look, and where."""
        for place, data, bare in self.raw():
            number = frames.number_in(data)
            sent = self._known.get(number) if number is not None else None
            if number is None or sent is None:
                continue
            same = bare == sent.protocol and frames.is_it_without_header(sent, data)
            if same if bare else frames.is_it(sent, data):
                yield number, place

    def _nothing_dropped(self) -> None:
        for place, (wire, _) in self._wires.items():
            _, drops = struct.unpack("II", wire.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
            assert not drops, f"{drops} packets that came to {place} were not looked at"


def fates(taps: Taps, packets: Sequence[Sent], expected: Sequence[str | None]) -> list[set[str]]:
    """Send all of them, and where each came."""
    numbers = [taps.send(p) for p in packets]
    found = taps.arrivals(dict(zip(numbers, expected, strict=True)))
    return [found.get(n, set()) for n in numbers]
