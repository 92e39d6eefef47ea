"""Random hosts over the whole grammar, and every packet on the wire does what the evaluator and `explain` say."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tests.clients.support.lab import OUTSIDE_V6
from tests.clients.support.wire.drawing import new_seed
from tests.clients.support.wire.host import wire_host
from tests.clients.support.wire.kept import KEPT, cases, packet_of
from tests.clients.support.wire.trial import Tried, mismatches, one_policy, tried
from tests.clients.support.wire.ways import lay, prove

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


def test_two_thousand_packets(binary: Path, tmp_path: Path) -> None:
    """The same ones each time: two hosts, one with an agent."""
    done = Tried()
    for seed, agent in ((1, True), (2, False)):
        done += tried(binary, tmp_path, seed, agent=agent, rounds=2, packets=500)
    print(done)


@pytest.mark.slow
@pytest.mark.parametrize("agent", [True, False], ids=["agent", "alone"])
def test_twenty_thousand_packets_that_no_run_had_before(binary: Path, tmp_path: Path, agent: bool) -> None:
    seeds = [new_seed()] if "WIRE_SEED" in os.environ else [new_seed() for _ in range(4)]
    done = Tried()
    for seed in seeds:
        done += tried(binary, tmp_path, seed, agent=agent, rounds=4, packets=640)
    print(done)


@pytest.mark.parametrize("case", cases(), ids=lambda path: path.stem)
def test_a_case_that_was_kept(binary: Path, tmp_path: Path, case: Path) -> None:
    kept = json.loads(case.read_text())
    with wire_host(binary, tmp_path / "files", kept["host"], agent=True) as made, made.taps() as taps:
        packets = [packet_of(values, made.endpoints) for values in kept["packets"]]
        meaning = made.meaning()
        assert [meaning.arrives(p) for p in packets] == [values["arrives"] for values in kept["packets"]]
        assert mismatches(taps, meaning, packets)[1] == []


def test_a_rule_that_nobody_reviewed_is_found(binary: Path, tmp_path: Path) -> None:
    """So that all of the above could fail: one rule more in the kernel, and some packets fare otherwise."""
    kept = json.loads((KEPT / "invalid-whatever-rules-say.json").read_text())
    with wire_host(binary, tmp_path / "files", kept["host"], agent=True) as made, made.taps() as taps:
        made.lab.out("nft", "insert", "rule", "inet", "calico_rkt", "out-web", "meta", "l4proto", "tcp", "drop")
        _, wrong = one_policy(made, taps, random.Random(1), kept["host"], 100)
        assert wrong
        assert all(m.sent.protocol == 6 and m.expected and not m.came for m in wrong)


def test_a_way_that_carries_nothing_is_told_from_a_rule(binary: Path, tmp_path: Path) -> None:
    kept = json.loads((KEPT / "invalid-whatever-rules-say.json").read_text())
    with wire_host(binary, tmp_path / "files", kept["host"], agent=True) as made, made.taps() as taps:
        where = {place: e.addresses for place, e in made.endpoints.items()}
        uplink = (f"{OUTSIDE_V6}/64", "dev", "out0", "nodad")
        made.lab.out("ip", "address", "del", *uplink[:-1], inside="outside")
        made.lab.out("ip", "neigh", "del", OUTSIDE_V6, "dev", "out0")
        with pytest.raises(
            AssertionError, match=r"ways that carry nothing at all: host to outside \(2001:[0-9a-f:]*\)$"
        ):
            prove(taps, where, patience=0)
        made.lab.out("ip", "address", "add", *uplink, inside="outside")
        lay(made.lab)
