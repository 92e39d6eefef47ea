"""Policies swapped and tables rebuilt under a flood: no packet that the old and the new one deny passes.

Linux shows a set with intervals that is made together with the rules that use it empty for some microseconds, and a map
that goes with its rules, too: docs/decisions/096.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

import pytest

from calico_rkt.plugin.enforce.nft import layout, libnftables, table
from tests.kernel.support import enforce_world as w

pytestmark = pytest.mark.kernel
PADDING = "\n".join(f"ip daddr 10.9.{n}.1 drop" for n in range(30))
DENIED, ALLOWED = "10.65.0.1", "192.0.2.2"
POLICIES = {
    "denied nets": "ip saddr { 10.65.0.0/28, 10.65.0.32/28, 10.65.0.64/28 } drop\nreturn",
    "all but some nets": "ip saddr != { 10.65.0.0/28, 10.65.0.32/28, 10.65.0.64/28 } return",
    "allowed nets": "ip saddr { 192.0.2.0/28, 192.0.2.32/28, 192.0.2.64/28 } return",
    "a map": "ip saddr . udp dport vmap { 10.65.0.0/28 . 1-65535 : drop, 10.65.0.32/28 . 1-9 : drop }\nreturn",
    "a map without intervals": "ip saddr vmap { 10.65.0.1 : drop, 10.65.0.33 : drop, 10.65.0.65 : drop }\nreturn",
}


class Flood:
    """From a container that the receiver's network denies, and from the outside, which it allows."""

    def __init__(self, lab) -> None:
        self.world = w.World(lab)
        self.a, self.b = self.world.end("a"), self.world.end("b")
        assert self.a.address[4] == DENIED
        self.ends = [self.a.elements("a"), self.b.elements("b")]
        self._stop = threading.Event()
        self._undo = contextlib.ExitStack()
        self.sent, self.came = {DENIED: 0, ALLOWED: 0}, {DENIED: 0, ALLOWED: 0}

    def scripts(self, policy: str, number: int = 0) -> dict[str, str]:
        return {"a": w.network("a"), "b": w.network("b", into=f"{PADDING}\nip daddr 10.8.{number}.1 drop\n{policy}")}

    def __enter__(self) -> Self:
        self.sink = self._undo.enter_context(w.listener(self.b.ns, 4, socket.SOCK_DGRAM))
        self.sink.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        self.sink.setblocking(False)
        target = (self.b.address[4], self.sink.getsockname()[1])
        with w.inside(self.a.ns):
            denied = self._undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._thread = threading.Thread(target=self._run, args=(denied, target))
        self._thread.start()
        return self

    def _run(self, denied, target) -> None:
        """What is allowed opens a flow with each packet; so would one that is denied, if it came through."""
        with w.inside(self.world.outside.ns):
            while not self._stop.is_set():
                denied.sendto(b"x", target)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as allowed:
                    allowed.sendto(b"x", target)
                self.sent[DENIED] += 1
                self.sent[ALLOWED] += 1
                self.drain()

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.came[self.sink.recvfrom(1)[1][0]] += 1

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(60)
        self.drain()
        self._undo.close()


@pytest.fixture
def flood(lab):
    made = Flood(lab)
    with w.inside(made.world.host):
        yield made


@pytest.mark.parametrize("policy", POLICIES)
def test_a_swap_of_two_policies_lets_nothing_through_that_both_deny_and_loses_nothing_that_both_allow(flood, policy):
    table.build_table(flood.ends, flood.scripts(POLICIES[policy]), ())
    with flood:
        for number in range(30):
            ready = flood.scripts(POLICIES[policy], number)["b"]
            table.apply_scripts([ready])
    assert flood.came[DENIED] == 0, f"{flood.came} of {flood.sent}"
    assert flood.came[ALLOWED] == flood.sent[ALLOWED] > 0, f"{flood.came} of {flood.sent}"
    names = {o["chain"]["name"] for o in libnftables.list_json("list table inet calico_rkt") if "chain" in o}
    assert not {n for n in names if n.startswith("next-")}


def build_anew(flood, policy, times, before=lambda: None):
    """The table, under a flood, so many times: nothing that is denied comes through."""

    def build():
        table.build_table(flood.ends, flood.scripts(POLICIES[policy]), w.nets("10.65.0.0/24", "10.66.0.0/16"))

    build()
    with flood:
        for _ in range(times):
            before()
            build()
    assert flood.came[DENIED] == 0, f"{flood.came} of {flood.sent}"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_table_that_is_built_anew_lets_nothing_through_that_is_denied(flood, policy):
    build_anew(flood, policy, 15)
    assert flood.came[ALLOWED] > 0


def make_older():
    """The table's layout is that of a build that did not write it down."""
    said = f"inet {table.TABLE} {layout.CHAIN}"
    libnftables.run_nft(f"flush chain {said}; delete chain {said}")
    assert table.standing() is table.Standing.OLDER


@pytest.mark.parametrize("policy", POLICIES)
def test_a_table_of_an_older_layout_is_replaced_and_lets_nothing_through_that_is_denied(flood, policy):
    """Nor is it closed: of the flows that begin meanwhile most come through, where a gate would stop all."""
    build_anew(flood, policy, 25, make_older)
    assert flood.came[ALLOWED] > 0.99 * flood.sent[ALLOWED], f"{flood.came} of {flood.sent}"
    tables = {o["table"]["name"] for o in libnftables.list_json("list tables inet") if "table" in o}
    assert tables == {table.TABLE}


def test_a_network_that_has_no_chains_yet_comes_in_with_others_that_change(lab):
    with w.inside(lab.host):
        table.build_table([], {"a": w.network("a")}, ())
        table.apply_scripts(
            [w.network("a", into="ip daddr 10.8.0.1 drop"), w.network("new", into="ip daddr 10.8.0.2 drop")]
        )
        assert table.chains_present("a")
        assert table.chains_present("new")
        chains = {o["chain"]["name"] for o in libnftables.list_json("list chains inet") if "chain" in o}
    assert not any(name.startswith("next-") for name in chains)
