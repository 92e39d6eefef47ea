"""The build of before (af6d52e) and this one on one host, under traffic: up to this one, back, and never in turn."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from calico_rkt.plugin.enforce.nft.closing import close_first
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from calico_rkt.plugin.link.groups import group_of
from tests import state_log
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, Reply, addresses
from tests.clients.support.lab import PLUGINS, STATE, Lab, conf, pool, until
from tests.kernel.support.enforce_world import inside

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

IO, POLICY = 5, 105
_SO_RCVBUFFORCE = 33
_AMONG_MAPS = 3
"""Packets that may be lost where the table is replaced three times: a map goes at once, also for a packet that is among
its rules (docs/decisions/096). Any time in which all are dropped is more: one is sent each millisecond."""
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

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is not None:
            self.arrived()

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


def started(host: Lab, caller: Caller) -> dict[str, str]:
    """Three containers by this caller's build, and their addresses: a and b may be reached, c may not."""
    kinds = (("a", WEB), ("b", WEB), ("c", SHUT))
    return {name: addresses(caller.add(network, name, host.netns(name)))[0] for name, network in kinds}


def refused(reply: Reply) -> None:
    """In clear words: another build's records are not guessed at."""
    error = reply.refused(IO)
    assert "has version 2, this program knows 1" in error["msg"], error


def back(host: Lab) -> None:
    """As the runbook says it: the records, then the table."""
    said = host.out(f"{PLUGINS}/calico", "downgrade")
    assert "given to older builds" in said
    host.out(f"{PLUGINS}/before", "restore")


def gaps(stream: Stream, begun: int) -> tuple[set[int], set[int]]:
    """The numbers of the packets that were lost where they may go, and of those that came where they may not."""
    passed, leaked = stream.arrived()
    return set(range(begun, stream.sent + 1)) - passed, leaked


@contextlib.contextmanager
def undisturbed(host: Lab, to: dict[str, str]) -> Iterator[None]:
    """Packets both ways between a and b, which both may, and from each to c, which may not, all the time."""
    with (
        Stream(host, "a", ("b", to["b"]), ("c", to["c"])) as there,
        Stream(host, "b", ("a", to["a"]), ("c", to["c"])) as back,
    ):
        begun = there.begun(), back.begun()
        yield
    for stream, first in zip((there, back), begun, strict=True):
        lost, leaked = gaps(stream, first)
        assert leaked == set()
        assert len(lost) <= _AMONG_MAPS, lost


def groups(host: Lab) -> set[tuple[str, int]]:
    """Of each host end, the container in its alias and its device group."""
    links = json.loads(host.out("ip", "-j", "-d", "link", "show", "type", "veth"))
    named = (i for i in links if i["ifname"].startswith("crk"))
    return {(i["ifalias"].split()[-1], 0 if i["group"] == "default" else int(i["group"])) for i in named}


@pytest.mark.parametrize("warm", [False, True], ids=["alone", "agent"])
def test_a_host_of_the_build_of_before_is_brought_to_groups_without_a_gap_and_back(host: Lab, warm: bool) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to = started(host, older)
    assert (now(host), groups(host)) == (Standing.OLDER, {("a", 0), ("b", 0), ("c", 0)})
    with undisturbed(host, to):
        agent = Agent(host).start() if warm else None
        newer.add(WEB, "late", host.netns("late"))
        assert now(host) is Standing.WHOLE
        web, shut = group_of("web"), group_of("shut")
        assert groups(host) == {("a", web), ("b", web), ("c", shut), ("late", web)}
        differs = host.run(f"{PLUGINS}/calico", "restore", "--if-needed").stderr.decode()
        assert not re.search("group|chain|set |map |table", differs), differs
        if agent is not None:
            agent.kill()
        back(host)
        assert now(host) is Standing.OLDER
        older.delete(WEB, "late", "/var/run/netns/late")
        older.add(WEB, "later", host.netns("later"))
        host.out(f"{PLUGINS}/calico", "restore")
        assert now(host) is Standing.WHOLE
        assert groups(host) == {("a", web), ("b", web), ("c", shut), ("later", web)}
    newer.delete(WEB, "later", "/var/run/netns/later")
    for name, network in (("a", WEB), ("b", WEB), ("c", SHUT)):
        newer.delete(network, name, f"/var/run/netns/{name}")
    assert host.left() == {}


def test_after_an_update_attest_says_that_the_table_is_another_builds_and_what_to_do(host: Lab) -> None:
    started(host, Caller(host, f"{PLUGINS}/before"))
    done = host.run(f"{PLUGINS}/calico", "attest")
    said = b"the nftables table is whole, and of another build's layout: calico-rkt restore makes it as this build does"
    assert (done.returncode, said in done.stdout) == (1, True), done
    assert json.loads(host.run(f"{PLUGINS}/calico", "attest", "--format", "json").stdout)["table"] == said.decode()
    host.out(f"{PLUGINS}/calico", "restore")
    done = host.run(f"{PLUGINS}/calico", "attest")
    assert (done.returncode == 1, b"another build" in done.stdout) == (False, False), done


def test_the_build_of_before_refuses_what_it_can_not_read_and_neither_closes_nor_undoes_it(host: Lab) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to = started(host, newer)
    with undisturbed(host, to):
        for n in range(3):
            for network in (WEB, SHUT):
                refused(older("ADD", network, f"n{n}", host.netns(f"n{n}")))
                newer.add(network, f"n{n}", f"/var/run/netns/n{n}")
                refused(older("DEL", network, f"n{n}", f"/var/run/netns/n{n}"))
                newer.delete(network, f"n{n}", f"/var/run/netns/n{n}")
                host.out("ip", "netns", "del", f"n{n}")
            assert now(host) is Standing.WHOLE
    assert {name for name, _ in groups(host)} == {"a", "b", "c"}
    assert host.run(f"{PLUGINS}/before", "restore").returncode, "it would build a table of nothing"
    done = host.run(f"{PLUGINS}/calico", "restore", "--if-needed")
    assert (done.returncode, done.stderr) == (0, b""), done
    for name, network in (("a", WEB), ("b", WEB), ("c", SHUT)):
        newer.delete(network, name, f"/var/run/netns/{name}")
    assert host.left() == {}


def test_a_del_by_this_build_takes_all_out_of_a_table_of_before(host: Lab) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    started(host, older)
    for name, network in (("a", WEB), ("b", WEB), ("c", SHUT)):
        newer.delete(network, name, f"/var/run/netns/{name}")
    assert now(host) is Standing.OLDER
    assert host.left() == {}


def test_an_apply_and_a_prune_by_this_build_bring_a_table_of_before_to_groups(host: Lab) -> None:
    older = Caller(host, f"{PLUGINS}/before")
    to = started(host, older)
    for n, known in enumerate((WEB, SHUT)):
        host.write(f"/etc/cni/net.d/{n}.conf", json.dumps(known))
    host.override("web", "network: web\ningress: [default]\negress: [default]\nendpoint_to_host: return\n")
    with undisturbed(host, to):
        host.out(f"{PLUGINS}/calico", "apply", "--yes", "web")
        assert now(host) is Standing.WHOLE
        assert groups(host) == {("a", group_of("web")), ("b", group_of("web")), ("c", group_of("shut"))}
    back(host)
    older.delete(SHUT, "c", "/var/run/netns/c")
    assert now(host) is Standing.OLDER
    assert "shut" in host.out(f"{PLUGINS}/calico", "prune", "--yes")
    assert now(host) is Standing.WHOLE


def test_a_host_that_this_build_closed_is_restored_by_the_build_of_before(host: Lab) -> None:
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    to = started(host, newer)
    host.out("nft", "flush", "ruleset")
    with inside(f"/proc/{host.pid}/ns/net"):
        assert close_first() is Standing.CLOSED
    refused(older("ADD", WEB, "late", host.netns("late")))
    assert now(host) is Standing.CLOSED
    host.out("ip", "netns", "del", "late")
    host.out(f"{PLUGINS}/calico", "downgrade")
    older.add(WEB, "late", host.netns("late"))
    assert now(host) is Standing.OLDER
    with undisturbed(host, to):
        time.sleep(0.1)


def everybody(host: Lab) -> dict[str, str]:
    """Who has which address, by what this build has recorded."""
    rows = [row.split(" ", 2) for row in state_log.rows(host.path(STATE).read_bytes()) if row.startswith("address ")]
    assert len({address for _, address, _ in rows}) == len(rows)
    return {json.loads(key)[1]: address for _, address, key in rows}


def test_records_are_taken_over_beside_an_agent_of_before_which_refuses_then_and_serves_again(host: Lab) -> None:
    agent = Agent(host, binary=f"{PLUGINS}/before").start()
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    given = started(host, older)
    assert agent.counted("declined_total") == 0
    given["d"] = addresses(newer.add(WEB, "d", host.netns("d")))[0]
    assert everybody(host).keys() == given.keys()
    links = host.links()
    refused(older("ADD", WEB, "e", host.netns("e")))
    for name in ("a", "d", "e"):
        refused(older("DEL", WEB, name, f"/var/run/netns/{name}"))
    assert host.links() == links, "a DEL that says no has taken nothing"
    for name in ("a", "b", "d"):
        assert host.run("ping", "-c", "1", "-W", "3", given[name]).returncode == 0
    back(host)
    given["e"] = addresses(older.add(WEB, "e", "/var/run/netns/e"))[0]
    assert len(set(given.values())) == 5
    older.delete(WEB, "d", "/var/run/netns/d")
    older.delete(WEB, "a", "/var/run/netns/a")
    assert agent.is_running()
    newer.add(WEB, "d", "/var/run/netns/d")
    assert everybody(host).keys() == {"b", "c", "d", "e"}
    agent.kill()
    for name, network in (("b", WEB), ("d", WEB), ("e", WEB), ("c", SHUT)):
        newer.delete(network, name, f"/var/run/netns/{name}")
    assert host.left() == {}


def test_while_records_are_taken_over_and_given_back_no_address_is_given_twice(host: Lab) -> None:
    agent = Agent(host, binary=f"{PLUGINS}/before").start()
    older, newer = Caller(host, f"{PLUGINS}/before"), Caller(host)
    given = started(host, older)
    names = [f"n{n}" for n in range(24)]
    for name in names:
        host.netns(name)
    told: dict[str, Reply] = {}

    def calls() -> None:
        for name in names:
            told[name] = older("ADD", WEB, name, f"/var/run/netns/{name}")

    busy = threading.Thread(target=calls)
    busy.start()
    for n in range(3):
        until(lambda n=n: len(told) > 6 * n + 2, "it is at work")  # type: ignore[misc]
        given[f"late{n}"] = addresses(newer.add(WEB, f"late{n}", host.netns(f"late{n}")))[0]
        back(host)
    busy.join()
    for name, reply in told.items():
        if reply.status == 0:
            given[name] = addresses(reply.json)[0]
        else:
            assert reply.refused()["code"] in (IO, POLICY), reply
    assert len(set(given.values())) == len(given) > 6
    newer.add(WEB, "last", host.netns("last"))
    refused = set(names) - given.keys()
    for name in everybody(host).keys() & refused:  # the older build began it, and may not take it back any more
        newer.delete(WEB, name, f"/var/run/netns/{name}")
    assert everybody(host).keys() == {*given, "last"}, "what was answered is recorded, and what was refused can go"
    agent.kill()
