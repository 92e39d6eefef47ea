"""A seed in, frames that no program sends put on the wires of a host, and what came of them judged, out."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.clients.support.lab import conf
from tests.clients.support.wire import frames
from tests.clients.support.wire.fuzz import Frame, proper, wild
from tests.clients.support.wire.host import WireHost, wire_host
from tests.clients.support.wire.packets import HOSTS, OUTSIDES, Address, Sent
from tests.clients.support.wire.taps import Taps, fates
from tests.kernel.support.enforce_world import inside
from tests.patience import slowness


def _pool(n: int) -> dict[str, Any]:
    return {"type": "host-local", "ranges": [[{"subnet": f"10.{n}.0.0/24"}], [{"subnet": f"fd00:{n}::/64"}]]}


_OPEN: dict[str, Any] = {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
HOST: dict[str, Any] = {
    "networks": [conf("isolated", _pool(81)), conf("open", _pool(82)), conf("guarded", _pool(83))],
    "endpoints": [
        ["c1", "eth0", "isolated"],
        ["c2", "eth0", "open"],
        ["c3", "eth0", "open"],
        ["c4", "eth0", "guarded"],
    ],
    "files": {
        "1.yaml": {"network": "isolated", "ingress": [], "egress": [], "endpoint_to_host": "accept"},
        "2.yaml": {"network": "open", **_OPEN, "endpoint_to_host": "accept"},
        "3.yaml": {
            "network": "guarded",
            "ingress": [{"action": "Allow", "protocol": "TCP", "destination": {"ports": [80]}}],
            "egress": [],
        },
    },
    "checksums": True,
}
ISOLATED, OPEN, PEER, GUARDED = "c1/eth0", "c2/eth0", "c3/eth0", "c4/eth0"
_NEEDED_TO_HOST = (130, 131, 132, 133, 135, 136, 143)
"""ICMPv6 that a container may send to its host before any policy."""
_SPECIAL = {
    4: ("224.0.0.1", "255.255.255.255", "169.254.1.1", "127.0.0.1", "9.9.9.9"),
    6: ("ff02::1", "ff02::2", "ff05::1", "fe80::ecee:eeff:feee:eeee", "::1", "2001:db8:9::9"),
}


class Fuzz:
    """A host with somebody isolated, two that are open, one with one port; what is sent, and all that came of it."""

    def __init__(self, made: WireHost, taps: Taps, seed: int) -> None:
        self.rng, self.taps, self._number = random.Random(seed), taps, 1 << 20
        self.at = {place: e.addresses for place, e in made.endpoints.items()} | {"outside": OUTSIDES, "host": HOSTS}
        self.sent: dict[int, tuple[str, list[Frame]]] = {}
        self.came: dict[int, set[str]] = {}
        self.raw: list[tuple[str, int, bytes]] = []
        self._quoted = {v: [frames.ip_packet(p, 0)[:48] for p in self._flows(v)] for v in (4, 6)}
        flows = [p for v in (4, 6) for p in self._flows(v)]
        assert fates(taps, flows, [self._owner(p.destination) for p in flows]) == [
            {self._owner(p.destination)} for p in flows
        ]

    def _flows(self, version: int) -> list[Sent]:
        """Flows that are open all the time, for errors to be about."""
        pairs = ((OPEN, "outside"), ("outside", OPEN), (PEER, OPEN), (OPEN, PEER))
        return [
            Sent(a, self.at[a][version], self.at[b][version], 17, (4000 + n, 4100 + n))
            for n, (a, b) in enumerate(pairs)
        ]

    def _owner(self, address: Address) -> str:
        return next(place for place, has in self.at.items() if address in has.values())

    def put(self, place: str, made: list[Frame], number: int) -> None:
        self.sent[number] = place, made
        for frame in made:
            self.taps.put(place, frame.ethertype, frame.data, frame.mac)

    def ends(self, place: str, to: list[str], *, honest: float) -> tuple[Address, Address]:
        """Whose address a frame says that it has, and where it goes."""
        rng, version = self.rng, self.rng.choice((4, 6))
        somebody = [*(a[version] for a in self.at.values()), *map(ip_address, _SPECIAL[version])]
        source = self.at[place][version] if rng.random() < honest else rng.choice(somebody)
        special = rng.random() < 0.1
        return source, ip_address(rng.choice(_SPECIAL[version])) if special else self.at[rng.choice(to)][version]

    def number(self) -> int:
        self._number += 1
        return self._number

    def wild(self, place: str, to: list[str], count: int) -> None:
        for _ in range(count):
            ends = self.ends(place, to, honest=0.8)
            number = self.number()
            self.put(place, wild(self.rng, ends, number, self._quoted[ends[0].version]), number)
            self.look()

    def proper(self, place: str, to: list[str], count: int) -> dict[int, str]:
        """Odd packets that are right, by number where they have to arrive."""
        wanted = {}
        for _ in range(count):
            receiver, version = self.rng.choice(to), self.rng.choice((4, 6))
            number = self.number()
            ends = self.at[place][version], self.at[receiver][version]
            self.put(place, proper(self.rng, ends, number), number)
            wanted[number] = receiver
            self.look()
        return wanted

    def look(self) -> None:
        for place, data, protocol in self.taps.raw():
            number = frames.number_in(data)
            if number in self.sent:
                self.came.setdefault(number, set()).add(place)
                self.raw.append((place, number, bytes([protocol]) + data))

    def settle(self) -> None:
        end = time.monotonic() + 0.3 * slowness()
        while time.monotonic() < end:
            self.look()
            time.sleep(0.01)


def _needed(packet: bytes) -> bool:
    """Whether what the host got is of the ICMPv6 without which IPv6 does not work; behind its protocol's number."""
    return packet[0] == 58 and packet[1] in _NEEDED_TO_HOST


def _delivered(made: WireHost) -> Iterator[tuple[socket.socket, int]]:
    """What the guarded container's own stack hands to programs: sockets, and the length of the header before it."""
    with inside(made.namespace("c4")):
        for family, skip in ((socket.AF_INET, 20), (socket.AF_INET6, 0)):
            for protocol in (6, 17, 132, 47, 4, 41, 50, 99):
                one = socket.socket(family, socket.SOCK_RAW, protocol)
                one.setblocking(False)
                yield one, skip


def short_of_patience(made: WireHost) -> None:
    """Let the host wait a second for the rest of a packet; a minute is usual."""
    for setting in ("net.ipv4.ipfrag_time=1", "net.netfilter.nf_conntrack_frag6_timeout=1"):
        made.lab.out("sysctl", "-qw", setting)


def fuzzed(binary: Path, folder: Path, seed: int, count: int) -> Counter[str]:
    """Send that many frames of each kind; what came where it may not, or did not come, is an error. What was sent."""
    print(f"WIRE_SEED={seed}")
    with wire_host(binary, folder, HOST, agent=True) as made, made.taps() as taps:
        short_of_patience(made)
        fuzz = Fuzz(made, taps, seed)
        inner = list(_delivered(made))
        everybody = ["outside", "host", ISOLATED, OPEN, PEER, GUARDED]
        fuzz.wild(ISOLATED, everybody, count)
        fuzz.wild(OPEN, [ISOLATED, GUARDED], count)
        fuzz.wild("outside", [ISOLATED, GUARDED, GUARDED, OPEN], count)
        wanted = fuzz.proper(OPEN, [PEER, "outside", "host"], count // 4)
        wanted |= fuzz.proper("outside", [OPEN, PEER], count // 4)
        end = time.monotonic() + 1.5  # what never came whole is told to its source by then
        while time.monotonic() < end:
            fuzz.settle()
        passed = _past_a_port(fuzz, inner)
    for place, number, packet in fuzz.raw:
        sender, made_of = fuzz.sent[number]
        if sender == ISOLATED and place != ISOLATED and not (place == "host" and _needed(packet)):
            raise AssertionError(f"of an isolated endpoint, at {place}: {packet.hex()} ({made_of})")
        assert place != ISOLATED or sender == ISOLATED, f"to an isolated endpoint, from {sender}: {made_of}"
    lost = {n: fuzz.sent[n] for n, to in wanted.items() if to not in fuzz.came.get(n, ())}
    first = next(iter(lost.values()), None)
    assert first is None, f"{len(lost)} of {len(wanted)} lost, such as {first}"
    assert passed
    frames_sent = sum(len(made_of) for _, made_of in fuzz.sent.values())
    return Counter(
        {
            "frames": frames_sent,
            "... of odd packets that had to arrive, and did": len(wanted),
            "... that programs of a guarded container got, all at its one port": passed,
        }
    )


def _past_a_port(fuzz: Fuzz, inner: list[tuple[socket.socket, int]]) -> int:
    """How many packets of ours the guarded container's programs got; each has to be for its one port."""
    got = 0
    for one, skip in inner:
        with one:
            try:
                while True:
                    data = one.recv(65536)
                    if (number := frames.number_in(data)) in fuzz.sent:
                        got += 1
                        at = skip and (data[0] & 15) * 4
                        port = int.from_bytes(data[at + 2 : at + 4], "big")
                        assert (one.proto, port) == (6, 80), f"{one.proto} {port}: {fuzz.sent[number or 0]}"
            except BlockingIOError:
                pass
    return got
