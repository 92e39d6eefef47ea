"""One address, given again and again, to who may be reached and to who may not: nobody inherits anything."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support.lab import conf
from tests.clients.support.wire.host import WireHost, wire_host
from tests.clients.support.wire.packets import ACK, OUTSIDES, SYN, Address, Sent
from tests.clients.support.wire.stream import Flown, Stream
from tests.patience import slowness

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

SHARED = {4: ip_address("10.70.0.9"), 6: ip_address("fd00:70::9")}
ONE = {
    "type": "host-local",
    "ranges": [
        [{"subnet": "10.70.0.0/24", "rangeStart": "10.70.0.9", "rangeEnd": "10.70.0.9"}],
        [{"subnet": "fd00:70::/64", "rangeStart": "fd00:70::9", "rangeEnd": "fd00:70::9"}],
    ],
}
PEERS = {"type": "host-local", "ranges": [[{"subnet": "10.71.0.0/24"}], [{"subnet": "fd00:71::/64"}]]}
FIXED = (5000, 80)
"""The ports of flows that both ends begin: of two that do so at once Linux may drop one."""
ALL = [{"action": "Allow"}]
HOST: dict[str, Any] = {
    "networks": [conf("open", ONE), conf("closed", ONE), conf("peers", PEERS)],
    "endpoints": [["peer", "eth0", "peers"]],
    "files": {
        "open.yaml": {"network": "open", "ingress": ALL, "egress": ALL},
        "closed.yaml": {"network": "closed", "ingress": [], "egress": []},
        "peers.yaml": {"network": "peers", "ingress": ALL, "egress": ALL},
    },
    "checksums": True,
}


@dataclass
class Held:
    """When one container had the address: as its ADD and its DEL began and ended."""

    container: str
    network: str
    asked: float
    given: float = 0.0
    taking: float = 0.0
    taken: float = 0.0


def everything(holders: list[str], others: dict[str, dict[int, Address]]) -> Iterator[Sent]:
    """To the address and from it, from every holder that will ever be, in flows that go on and in new ones."""
    ports = itertools.cycle(range(20000, 60000))
    while True:
        fresh = next(ports)
        for version, (other, addresses) in itertools.product((4, 6), others.items()):
            there, here = addresses[version], SHARED[version]
            for protocol, (mine, yours), flags in ((17, FIXED, SYN), (6, FIXED, ACK), (17, (fresh, 80), SYN)):
                yield Sent(other, there, here, protocol, (mine, yours), flags=flags)
                for holder in holders:
                    # As an answer to the flow that the other one began, and as one of its own.
                    if mine != fresh:
                        yield Sent(holder, here, there, protocol, (yours, mine), flags=flags)
                    yield Sent(holder, here, there, protocol, (mine, yours + 1), flags=flags)


def held_in_turn(binary: Path, folder: Path, times: int, *, agent: bool) -> str:
    """Give the address away that many times, to `open` and to `closed` in turn; what fared wrong is an error."""
    holders = [f"n{n}" for n in range(times)]
    turns: list[Held] = []
    with wire_host(binary, folder, HOST, agent=agent) as made, made.taps() as taps:
        for holder in holders:
            made.lab.netns(holder)
            taps.tap(holder, made.namespace(holder), "")
        others = {"outside": dict(OUTSIDES), "peer": dict(made.endpoints["peer/eth0"].addresses)}
        packets = (s if s.place != "peer" else _from_peer(s) for s in everything(holders, others))
        with Stream(taps, packets, pause=0.0005) as stream:
            for holder, network in zip(holders, itertools.cycle(("open", "closed")), strict=False):
                turns.append(_turn(made, stream, holder, network))
    return judged(stream.flown, turns)


def _from_peer(sent: Sent) -> Sent:
    return Sent("peer/eth0", sent.source, sent.destination, sent.protocol, sent.ports, flags=sent.flags)


def _turn(made: WireHost, stream: Stream, holder: str, network: str) -> Held:
    turn = Held(holder, network, time.monotonic())
    given = made.add(holder, "eth0", network)
    turn.given = time.monotonic()
    assert given.addresses == SHARED
    stream.let_pass(100)
    turn.taking = time.monotonic()
    made.delete(f"{holder}/eth0")
    turn.taken = time.monotonic()
    stream.let_pass(100)
    return turn


def judged(flown: list[Flown], turns: list[Held]) -> str:
    """Every packet by who had the address when it was sent."""
    late, soon = 0.02 * slowness(), 0.1 * slowness()
    by_name = {t.container: t for t in turns}
    arrived = 0
    for f in flown:
        arrived += bool(f.came)
        if f.at < turns[0].given and f.sent.place not in by_name and f.came == {"outside"}:
            continue  # no network has had an endpoint yet, so the host sends the address where its routes lead
        sender = by_name.get(f.sent.place)
        # Who sends before it is anybody, or as nobody any more, is as who may not be heard.
        turn = sender or next((t for t in turns if t.container in f.came), None)
        if turn is None:
            turn = next((t for t in turns if t.given <= f.at and f.until <= t.taking), None)
        if turn is None or turn.network == "closed":
            assert not f.came, f"{f}: {turn}"
            continue
        to = _receiver(f.sent) if sender else turn.container
        assert f.came <= {to}, f"{f}: {turn}"
        assert (turn.asked - late <= f.until and f.at <= turn.taken + late) or not f.came, f"{f}: {turn}"
        # A link that came up sends once a worker of the kernel (linkwatch) gave it its queue: soon, not at once.
        if turn.given + soon <= f.at and f.until <= turn.taking - late and f.sent.ports not in (FIXED, FIXED[::-1]):
            assert f.came == {to}, f"lost: {f}: {turn}"
    assert arrived
    return f"{len(turns)} holders, {len(flown)} packets, {arrived} arrived"


def _receiver(sent: Sent) -> str:
    return "outside" if sent.destination in OUTSIDES.values() else "peer/eth0"


def test_who_gets_an_address_inherits_nothing_and_loses_nothing(binary: Path, tmp_path: Path) -> None:
    print(held_in_turn(binary, tmp_path / "files", 4, agent=True))


@pytest.mark.slow
@pytest.mark.parametrize("agent", [True, False], ids=["agent", "alone"])
def test_so_it_is_with_many_holders(binary: Path, tmp_path: Path, agent: bool) -> None:
    print(held_in_turn(binary, tmp_path / "files", 16, agent=agent))
