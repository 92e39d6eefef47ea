"""A host with endpoints and packets as attest speaks of them in; sent for real, and what became of each, out."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, UDP, Icmp
from calico_rkt.plugin.attest.oracle import opening_of
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.walk import End
from tests.clients.support.wire import frames
from tests.clients.support.wire.packets import ACK, SYN, SYN_ACK, Sent
from tests.clients.support.wire.taps import Taps
from tests.kernel.support.attest_shapes import PLAIN, Shape, shaped
from tests.kernel.support.attested import Attested
from tests.patience import slowness

_QUIET = """\
nft -f - <<'EOT'
table inet quiet { chain o { type filter hook output priority 0; policy drop
icmpv6 type { 133, 134, 135, 136 } accept
}
}
EOT
"""
"""Nobody answers by himself: an answer would change the flow that the next packet belongs to."""
_SIZE = {4: 12, 6: 8}


class _Host:
    """What Taps asks of a lab."""

    def __init__(self, pid: int, mac: Path) -> None:
        self.pid, self._mac = pid, mac

    def path(self, *_: str) -> Path:
        return self._mac


class Wire:
    """Use as a context. Packets whose way no wire has (from the host's uplink to its uplink) are not sendable."""

    def __init__(self, world: Attested, folder: Path) -> None:
        self.world, self.wanted = world, world.wanted
        ends = {"outside": (world.outside, "up1")} | {name: (end, "eth0") for name, (end, _) in world.ends.items()}
        for end, dev in ends.values():
            world.sh(end.ns, _QUIET)
            (link,) = json.loads(world.lab.run(end.ns, ["ip", "-j", "link", "show", dev], check=True).stdout)
            world.sh(
                world.host,
                "\n".join(
                    f"ip neigh replace {a} lladdr {link['address']} dev {end.ifname} nud permanent"
                    for a in end.address.values()
                ),
            )
        world.sh(world.host, "sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1")
        (link,) = json.loads(world.lab.run(world.host, ["ip", "-j", "link", "show", "up0"], check=True).stdout)
        (folder / "mac").write_text(link["address"])
        self._holder = world.lab.start(world.host, ["sleep", "100000"])
        places = {name: (end.ns, dev) for name, (end, dev) in ends.items()}
        self._taps = Taps(_Host(self._holder.pid, folder / "mac"), places)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._taps.__exit__(None, None, None)
        self._holder.kill()
        self._holder.communicate()

    def sendable(self, packet: Packet) -> bool:
        """Whether it can be put on a wire here: no route of this host leads an endpoint's address by another's end."""
        known = {"", self.wanted.uplink, *self.world.ends}
        held = self.wanted.by_address.get(packet.destination)
        elsewhere = held is not None and packet.oif not in ("", held.ifname)
        return (
            packet.iif != packet.oif
            and {packet.iif, packet.oif} <= known
            and not elsewhere
            and not any(a.is_unspecified for a in (packet.source, *(packet.flow or ())))
        )

    def fates(self, packets: list[Packet], shapes: Sequence[Shape] = ()) -> list[End]:
        """What became of each: dropped, through, or through with another source. Those that would be taken for answers
        to one another are sent apart. shapes: of each packet, where it is not a plain one."""
        shapes = shapes or [PLAIN] * len(packets)
        out: dict[int, End] = {}
        left = list(range(len(packets)))
        while left:
            batch: list[int] = []
            tuples: set[tuple[object, ...]] = set()
            for n in left:
                mine = self._tuples(packets[n])
                if not tuples.isdisjoint({*mine, *map(_inverse, mine)}) or (packets[n].kind is not Kind.NEW and batch):
                    continue
                batch.append(n)
                tuples |= mine
                if packets[n].kind is not Kind.NEW:
                    break
            out |= dict(zip(batch, self._batch([(packets[n], shapes[n]) for n in batch]), strict=True))
            left = [n for n in left if n not in out]
        return [out[n] for n in range(len(packets))]

    def _tuples(self, packet: Packet) -> set[tuple[object, ...]]:
        """The flow's ends, and as they are called behind the host where the source is translated there."""
        to = packet.destination, packet.dport
        sources = {packet.source, self.wanted.host[packet.version]} if packet.iif and packet.oif else {packet.source}
        return {(packet.protocol, packet.icmp, (source, packet.sport), to) for source in sources}

    def _batch(self, packets: list[tuple[Packet, Shape]]) -> list[End]:
        self.world.lab.run(self.world.host, ["conntrack", "-F"])
        numbers: dict[int, Packet] = {}
        for packet, shape in packets:
            before = opening_of(self.wanted, packet)
            echo = None
            if before is not None:
                echo = self._put(before)
                self._arrived({})
            if packet.kind is Kind.LATER and before is not None:
                self._put(answer_to(before), echo)
                self._arrived({})
            numbers[self._put(packet, echo, shape)] = packet
        found = self._arrived(numbers)
        return [self._end(p, found.get(n)) for n, p in numbers.items()]

    def _end(self, packet: Packet, source: object) -> End:
        if source is None:
            return End.DROP
        return End.THROUGH if source == packet.source else End.TRANSLATED

    def _put(self, packet: Packet, echo: int | None = None, shape: Shape = PLAIN) -> int:
        """echo: the number of what began its flow, which ICMP calls the flow by."""
        taps = self._taps
        place = packet.iif if packet.iif in self.world.ends else "outside" if packet.iif else "host"
        flags = {Kind.REPLY: SYN_ACK, Kind.LATER: ACK}.get(packet.kind, SYN)
        icmp = (packet.icmp.type, packet.icmp.code or 0) if packet.icmp is not None else (0, 0)
        sent = Sent(
            place, packet.source, packet.destination, packet.protocol, (packet.sport, packet.dport), icmp, flags
        )
        if packet.kind is not Kind.ERROR and (place == "host" or not shape):
            return taps.send(sent, echo)
        taps._number += 1
        taps._known[taps._number] = sent
        if packet.kind is not Kind.ERROR:
            for piece in shaped(frames.ip_packet(sent, taps._number, echo), shape):
                taps.put(place, frames.ETHERTYPES[packet.version], piece)
            return taps._number
        taps.put(place, frames.ETHERTYPES[packet.version], _error(packet, icmp, sent, taps._number))
        return taps._number

    def _arrived(self, numbers: dict[int, Packet]) -> dict[int, object]:
        """By number the source with which a packet came to where it was sent to."""
        found: dict[int, object] = {}
        quiet = time.monotonic()
        while time.monotonic() - quiet < 0.04 * slowness():
            for place, data, bare in self._taps.raw():
                quiet = time.monotonic()
                number = frames.number_in(data)
                packet, sent = numbers.get(number or 0), self._taps._known.get(number or 0)
                if number is None or packet is None or sent is None:
                    continue
                to = packet.oif if packet.oif in self.world.ends else "outside" if packet.oif else "host"
                same = bare == sent.protocol and frames.is_it_without_header(sent, data) if bare else None
                if place == to and (same if bare else frames.is_it(sent, data)):
                    at = _SIZE[packet.version]
                    size = packet.source.max_prefixlen // 8
                    found[number] = packet.source if bare else ip_address(data[at : at + size])
            time.sleep(0.002)
        return found


def answer_to(opened: Packet) -> Packet:
    """What its receiver answers."""
    icmp = Icmp(0, 0) if opened.protocol == ICMP else Icmp(129, 0) if opened.protocol == ICMPV6 else None
    ends = {"source": opened.destination, "destination": opened.source, "iif": opened.oif, "oif": opened.iif}
    flow = opened.source, opened.destination
    return replace(
        opened, kind=Kind.REPLY, sport=opened.dport, dport=opened.sport, icmp=icmp, flow=flow, mark=None, **ends
    )


def _inverse(tuple_: tuple[object, ...]) -> tuple[object, ...]:
    protocol, icmp, source, destination = tuple_
    return protocol, icmp, destination, source


def _error(packet: Packet, icmp: tuple[int, int], sent: Sent, number: int) -> bytes:
    """An error about the flow's packet (UDP to port 53) that went to its sender's other end."""
    assert packet.flow is not None
    first, last = packet.flow
    ends = (first, last) if packet.destination == first else (last, first)
    ports = (49152, 53) if packet.destination == first else (53, 49152)
    mark = frames._MARK + struct.pack("!I", number)
    udp = struct.pack("!HHHH", *ports, 8 + len(mark), 0) + mark
    quoted = frames.with_header(*ends, UDP, udp)
    body = struct.pack("!BBHI", *icmp, 0, 0) + quoted
    if packet.version == 6:
        body = frames._summed(sent, body, 2)
    else:
        body = body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:]
    return frames.with_header(packet.source, packet.destination, packet.protocol, body)
