"""The build of before (af6d52e) and this one in turn on one host, under traffic: neither undoes the other."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from calico_rkt.plugin.enforce.nft.closing import close_first
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, pool, until
from tests.kernel.support.enforce_world import inside

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

_SO_RCVBUFFORCE = 33
WEB = conf("web", pool("10.1.0.0/24"))
SHUT = conf("shut", pool("10.2.0.0/24"))
NOTHING = "network: shut\ningress: []\negress: []\n"


@pytest.fixture
def host(bare_lab: Lab, before: Path) -> Lab:
    shutil.copy(before, bare_lab.path(PLUGINS, "before"))
    bare_lab.path(PLUGINS, "before").chmod(0o755)
    bare_lab.override("shut", NOTHING)
    return bare_lab


class Stream:
    """UDP packets from a container every millisecond to where they may go and where they may not; which arrived."""

    def __init__(self, host: Lab, source: str, allowed: tuple[str, str], denied: tuple[str, str]) -> None:
        self._stop = threading.Event()
        self._sinks = [self._sink(host, at) for at in (allowed[0], denied[0])]
        with inside(f"/proc/{host.pid}/root/run/netns/{source}"):
            self._from = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in self._sinks]
        self._to = [(at[1], sink.getsockname()[1]) for at, sink in zip((allowed, denied), self._sinks, strict=True)]
        self.sent = 0
        self._thread = threading.Thread(target=self._send)

    @staticmethod
    def _sink(host: Lab, name: str) -> socket.socket:
        with inside(f"/proc/{host.pid}/root/run/netns/{name}"):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        made.bind(("", 0))
        made.settimeout(0.5)
        return made

    def _send(self) -> None:
        while not self._stop.is_set():
            self.sent += 1
            for source, target in zip(self._from, self._to, strict=True):
                source.sendto(self.sent.to_bytes(4, "big"), target)
            time.sleep(0.001)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def begun(self) -> int:
        """The number of the packet at which it flows: the first ones of a link that has just come up may be lost."""
        until(lambda: self.sent > 20, "it sends")
        return self.sent

    def arrived(self) -> list[set[int]]:
        """The numbers of those that came, where they may and where they may not."""
        found = []
        for sink in self._sinks:
            seen = set()
            with contextlib.suppress(TimeoutError):
                while True:
                    seen.add(int.from_bytes(sink.recv(16), "big"))
            found.append(seen)
            sink.close()
        for source in self._from:
            source.close()
        return found


def now(host: Lab) -> Standing:
    with inside(f"/proc/{host.pid}/ns/net"):
        return standing()


def started(host: Lab, caller: Caller) -> tuple[str, str]:
    """Three containers by this caller's build; the addresses of one that may be reached and one that may not."""
    caller.add(WEB, "a", host.netns("a"))
    to = addresses(caller.add(WEB, "b", host.netns("b")))[0]
    shut = addresses(caller.add(SHUT, "c", host.netns("c")))[0]
    return to, shut


@pytest.mark.parametrize("first", ["before", "now"])
@pytest.mark.parametrize("warm", [False, True], ids=["alone", "agent"])
def test_two_builds_in_turn_lose_no_packet_and_open_nothing(host: Lab, first: str, warm: bool) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to, shut = started(host, older if first == "before" else newer)
    agent = Agent(host).start() if warm else None
    with Stream(host, "a", ("b", to), ("c", shut)) as stream:
        begun = stream.begun()
        for n in range(4):
            for builds in ((older, newer), (newer, older)):
                for network in (WEB, SHUT):
                    adder, deleter = builds
                    adder.add(network, f"n{n}", host.netns(f"n{n}"))
                    deleter.delete(network, f"n{n}", f"/var/run/netns/n{n}")
                    host.out("ip", "netns", "del", f"n{n}")
    passed, leaked = stream.arrived()
    if agent is not None:
        agent.kill()
    assert leaked == set()
    assert set(range(begun, stream.sent + 1)) - passed == set()
    assert now(host) is Standing.WHOLE


def test_what_the_build_of_before_rebuilt_is_brought_to_the_new_layout_without_a_gap(host: Lab) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to, shut = started(host, newer)
    host.out("nft", "flush", "ruleset")
    host.out(f"{PLUGINS}/before", "restore")
    assert now(host) is Standing.OLDER
    with Stream(host, "a", ("b", to), ("c", shut)) as stream:
        begun = stream.begun()
        newer.add(WEB, "late", host.netns("late"))
        assert now(host) is Standing.WHOLE
        older.delete(WEB, "late", "/var/run/netns/late")
        assert now(host) is Standing.WHOLE
    passed, leaked = stream.arrived()
    assert leaked == set()
    assert set(range(begun, stream.sent + 1)) - passed == set()


def test_a_host_that_this_build_closed_is_restored_by_the_build_of_before(host: Lab) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to, shut = started(host, newer)
    host.out("nft", "flush", "ruleset")
    with inside(f"/proc/{host.pid}/ns/net"):
        assert close_first() is Standing.CLOSED
    older.add(WEB, "late", host.netns("late"))
    assert now(host) is Standing.OLDER
    with Stream(host, "a", ("b", to), ("c", shut)) as stream:
        begun = stream.begun()
        until(lambda: stream.sent > begun + 30, "it sends on")
    passed, leaked = stream.arrived()
    assert leaked == set()
    assert set(range(begun, stream.sent + 1)) - passed == set()
