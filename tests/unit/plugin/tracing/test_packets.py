"""Steps that the kernel tells become packets, each with the one end that it came to."""

import itertools

from calico_rkt.plugin.tracing.events import Event, Header
from calico_rkt.plugin.tracing.packets import Fate, Gathering
from calico_rkt.plugin.tracing.table import NAME

HEADER = Header("10.1.0.1", "10.2.0.1", 17, 7, 9)


def step(packet, chain, verdict="continue", table="fw", header=HEADER, **more):
    return Event(packet, "inet", table, chain, 1, verdict, header=header, **more)


def test_a_drop_and_the_last_chain_end_a_packet_and_its_number_begins_anew():
    gathering = Gathering()
    assert gathering.take(step(1, "prerouting", table=NAME, iif="crka"), 0) is None
    assert gathering.take(step(2, "prerouting", table=NAME), 0) is None
    dropped = gathering.take(step(1, "f", "drop", oif="crkb"), 1)
    assert (dropped.fate, dropped.iif, dropped.oif, len(dropped.steps)) == (Fate.DROPPED, "crka", "crkb", 2)
    after_nat = Header("192.0.2.1", "10.2.0.1", 17, 7, 9)
    passed = gathering.take(step(2, "last_postrouting", table=NAME, header=after_nat), 1)
    assert (passed.fate, passed.first, passed.last) == (Fate.PASSED, HEADER, after_nat)
    # The policy of that chain is told, too, without a header: no new packet.
    assert gathering.take(step(2, "last_postrouting", "accept", NAME, header=None), 1) is None
    again = gathering.take(step(1, "g", "drop"), 2)
    assert len(again.steps) == 1
    assert list(gathering.lost(99)) == []


def test_an_accept_ends_a_chain_and_no_packet_and_what_is_heard_of_no_more_is_lost():
    gathering = Gathering()
    for at, verdict in enumerate(("accept", "return", "jump", "continue")):
        assert gathering.take(step(1, "f", verdict), at) is None
    assert list(gathering.lost(3.4)) == []
    (packet,) = gathering.lost(3.6)
    assert (packet.fate, len(packet.steps)) == (Fate.LOST, 4)


def test_a_packet_that_a_program_has_is_told_once_as_what_became_of_it():
    gathering = Gathering()
    for number in (1, 2):
        assert gathering.take(step(number, "ips", "queue"), 0) is None
    assert list(gathering.lost(1)) == [], "the program may take its time"
    passed = gathering.take(step(1, "last_postrouting", table=NAME), 2)
    assert (passed.fate, len(passed.steps)) == (Fate.PASSED, 2)
    (kept,) = gathering.lost(4)
    assert (kept.fate, kept.by.verdict, len(kept.steps)) == (Fate.DROPPED, "queue", 1)
    assert list(gathering.lost(99)) == []


def test_packets_that_come_at_once_are_told_apart():
    streams = {n: [step(n, c) for c in "abc"] + [step(n, "d", "drop")] for n in range(4)}
    for order in itertools.islice(itertools.permutations([n for n in streams for _ in range(4)]), 0, 10**6, 9973):
        gathering, left = Gathering(), {n: iter(events) for n, events in streams.items()}
        found = [p for n in order if (p := gathering.take(next(left[n]), 0)) is not None]
        assert [len(p.steps) for p in found] == [4] * 4
