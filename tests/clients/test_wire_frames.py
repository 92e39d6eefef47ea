"""Frames that no program sends: who is isolated hears and says nothing, no port is got past, nothing odd is lost."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from tests.clients.support.wire.drawing import new_seed
from tests.clients.support.wire.frame_trial import HOST, ISOLATED, OPEN, PEER, Fuzz, fuzzed, short_of_patience
from tests.clients.support.wire.fuzz import fragment_pair
from tests.clients.support.wire.host import wire_host
from tests.clients.support.wire.packets import HOSTS

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


def test_frames_of_every_kind(binary: Path, tmp_path: Path) -> None:
    print(fuzzed(binary, tmp_path / "files", 1, 400))


@pytest.mark.slow
def test_many_frames_that_no_run_had_before(binary: Path, tmp_path: Path) -> None:
    print(fuzzed(binary, tmp_path / "files", new_seed(), 8000))


def test_a_piece_of_somebody_else_s_packet_is_thrown_away_before_it_is_put_together(
    binary: Path, tmp_path: Path
) -> None:
    """Linux puts fragments together before conntrack, whoever sent them, and tells the source of what never came."""
    with wire_host(binary, tmp_path / "files", HOST, agent=True) as made, made.taps() as taps:
        short_of_patience(made)
        fuzz = Fuzz(made, taps, 1)
        joined, told = [], []
        for version, (forger, honest) in itertools.product((4, 6), ((ISOLATED, "outside"), ("outside", PEER))):
            own, theirs, lone = fuzz.number(), fuzz.number(), fuzz.number()
            tail, head = fragment_pair((fuzz.at[honest][version], fuzz.at[OPEN][version]), theirs, own)
            fuzz.put(forger, [tail], theirs)
            fuzz.put(honest, [head], own)
            _, first = fragment_pair((fuzz.at[PEER][version], HOSTS[version]), lone, lone)
            fuzz.put(forger, [first], lone)
            joined.append(theirs)
            told.append(lone)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            fuzz.settle()
        assert not fuzz.came.keys() & {*joined}, "put together with somebody's own"
        assert not fuzz.came.keys() & {*told}, "the host tells the forged source of it"
