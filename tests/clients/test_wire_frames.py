"""Frames that no program sends: who is isolated hears and says nothing, no port is got past, nothing odd is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.clients.support.wire.drawing import new_seed
from tests.clients.support.wire.frame_trial import HOST, ISOLATED, OPEN, PEER, Fuzz, fuzzed
from tests.clients.support.wire.fuzz import fragment_pair
from tests.clients.support.wire.host import wire_host
from tests.clients.support.wire.packets import HOSTS

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


def test_frames_of_every_kind(binary: Path, tmp_path: Path) -> None:
    print(fuzzed(binary, tmp_path / "files", 1, 400))


@pytest.mark.slow
def test_many_frames_that_no_run_had_before(binary: Path, tmp_path: Path) -> None:
    print(fuzzed(binary, tmp_path / "files", new_seed(), 8000))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("place", [ISOLATED, "outside"])
def test_a_piece_of_somebody_else_s_packet_is_thrown_away_before_it_is_put_together(
    binary: Path, tmp_path: Path, version: int, place: str
) -> None:
    """Linux puts fragments together before conntrack, whoever sent them, and tells the source of what never came."""
    with wire_host(binary, tmp_path / "files", HOST, agent=True) as made, made.taps() as taps:
        for setting in ("net.ipv4.ipfrag_time=1", "net.netfilter.nf_conntrack_frag6_timeout=1"):
            made.lab.out("sysctl", "-qw", setting)
        fuzz = Fuzz(made, taps, 1)
        forged, honest = (ISOLATED, "outside") if place == ISOLATED else ("outside", PEER)
        source, destination = fuzz.at[honest][version], fuzz.at[OPEN][version]
        theirs, own = fuzz.number(), fuzz.number()
        tail, head = fragment_pair((source, destination), theirs, own)
        fuzz.put(forged, [tail], theirs)
        fuzz.put(honest, [head], own)
        lone = fuzz.number()
        victim = fuzz.at[PEER][version]
        fuzz.put(forged, [fragment_pair((victim, HOSTS[version]), lone, lone)[1]], lone)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            fuzz.settle()
        assert theirs not in fuzz.came, "put together with somebody's own"
        assert lone not in fuzz.came, "the host tells the forged source of it"
