"""Claims about the state file of an older build: taken over whole or not at all, and given back the same way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.local import LocalStore
from tests import older_state, state_log

NET = ip_network("10.1.0.0/29")
OF = Ipam("host-local", ((Range(NET, NET[1], NET[-2]),),))
C1, C2, C3 = (Key("web", name, "eth0") for name in ("c1", "c2", "c3"))


def endpoint(key, nonce="cc"):
    return Endpoint(key, nonce, "/n", 4, 9, "crk9", "02:09", ())


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def before(run_dir):
    return older_state.make(run_dir / "state.sqlite")


def opened(run_dir):
    return LocalStore(run_dir, run_dir.parent / "lib", verify=pytest.fail)


def names(run_dir):
    """But for what sqlite keeps beside a file, and a killed maker of one has left."""
    found = (p.name for p in run_dir.iterdir())
    return sorted(n for n in found if not n.endswith("-journal") and not n.startswith(".state.sqlite."))


def test_everything_that_an_older_build_recorded_is_there(run_dir, before):
    with closing(opened(run_dir)) as store:
        assert store.is_there()
        one = store.endpoint(C1)
        assert one == Endpoint(
            C1,
            "aa",
            "/n1",
            4,
            7,
            "crk1",
            "02:01",
            (ip_address("10.1.0.1"), ip_address("fd00:1::1")),
            ip_masq=True,
            result='{"ips": []}',
            home=(4, 99),
            members=("http://a", "http://b"),
            node="node1",
        )
        assert store.endpoints() == (one, store.endpoint(C2))
        assert (store.endpoint(C2).home, store.endpoint(C2).members) == ((0, 0), ()), "its origin is of another nonce"
        assert [str(n) for n in store.ranges()] == ["10.1.0.0/29", "fd00:1::/64"]
        assert store.unheld.guards("web") == {NET}
        assert store.unheld.forget_networks([]) == (ip_network("10.9.0.0/24"),)
        assert store.unheld.networks() == ("web",)
        left = store.unheld.left()
        assert (left.addresses, left.ranges) == ((ip_address("10.1.0.5"),), (ip_network("10.3.0.0/24"),))
        assert store.add(endpoint(C3), OF, ()).addresses == (ip_address("10.1.0.3"),), "next-fit goes on"
        assert store.is_settled("web", "made from this")
    assert older_state.seen(before) == "version 2"
    assert names(run_dir) == ["state.log", "state.sqlite"]


def test_the_way_back_gives_an_older_build_all_of_it_as_it_was(run_dir, before):
    was = older_state.seen(before)
    with closing(opened(run_dir)) as store:
        assert store.endpoint(C1) is not None
        assert store.to_older_builds()
        is_now = older_state.seen(before)
        was["origins"] = [row for row in was["origins"] if row[3] == "aa"] + [
            ("web", "c2", "eth0", "bb", "", "", "", "")
        ]
        assert is_now == {name: sorted(rows, key=repr) for name, rows in was.items()}
        assert names(run_dir) == ["state.sqlite"]
        assert store.is_there()
        assert store.endpoint(C2).nonce == "bb", "and it is taken over again by who comes"
        assert older_state.seen(before) == "version 2"


def test_a_host_without_records_has_nothing_to_give_back_and_gets_no_file(run_dir):
    with closing(opened(run_dir)) as store:
        assert not store.is_there()
        assert not store.to_older_builds()
        assert store.endpoints() == ()
        assert store.endpoint(C1) is None
    assert not run_dir.exists()


def test_a_fresh_host_is_closed_to_older_builds_before_anything_is_recorded(run_dir):
    with closing(opened(run_dir)) as store:
        store.add(endpoint(C1), OF, ())
        assert older_state.seen(run_dir / "state.sqlite") == "version 2"
        assert names(run_dir) == ["state.log", "state.sqlite"]
        assert store.to_older_builds()
    seen = older_state.seen(run_dir / "state.sqlite")
    assert [row[0] for row in seen["addresses"]] == ["4:0a010001"]
    assert seen["boot"] == [(older_state.boot(),)]


def test_records_of_an_earlier_boot_are_not_taken_over(run_dir):
    older_state.make(run_dir / "state.sqlite", of="another")
    with closing(opened(run_dir)) as store:
        assert store.endpoints() == ()
        assert store.add(endpoint(C3), OF, ()).addresses == (ip_address("10.1.0.1"),)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM boot", "which boot"),
        ("UPDATE boot SET id = x'00'", "which boot"),
        ("INSERT INTO boot VALUES ('b')", "which boot"),
        ("PRAGMA user_version = 7", "version 7, this program knows 2"),
        ("PRAGMA application_id = 7", "no state file"),
        ("DROP TABLE addresses", "no such table"),
    ],
)
def test_what_can_not_be_used_is_an_error_and_stays_as_it_is(run_dir, before, damage, words):
    with closing(sqlite3.connect(before)) as db, db:
        db.execute(damage)
    was = before.read_bytes()
    for act in (lambda s: s.endpoint(C1), lambda s: s.add(endpoint(C3), OF, ()), lambda s: s.to_older_builds()):
        with closing(opened(run_dir)) as store, pytest.raises(CniError) as caught:
            act(store)
        assert (caught.value.code, words in caught.value.msg) == (Code.IO, True), caught.value.msg
    assert before.read_bytes() == was
    assert "state.log" not in names(run_dir)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\0"])
def test_a_damaged_file_is_an_error_and_stays_as_it_is(run_dir, before, content):
    before.write_bytes(content)
    with closing(opened(run_dir)) as store, pytest.raises(CniError) as caught:
        store.endpoint(C1)
    assert str(before) in caught.value.msg
    assert before.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE endpoints SET netns_inode = 'seven' WHERE container = 'c1'",
        "UPDATE endpoints SET nonce = x'0102' WHERE container = 'c1'",
        "UPDATE endpoints SET network = x'ff', container = 7 WHERE container = 'c1'",
        "DELETE FROM endpoints WHERE container = 'c1'",
        "UPDATE addresses SET address = '4:zz' WHERE container = 'c1' AND position = 0",
        "UPDATE addresses SET address = 17 WHERE container = 'c1' AND position = 0",
        "UPDATE subnets SET subnet = x'00' WHERE subnet = '10.1.0.0/29'",
        "UPDATE guards SET net = 'no' || char(9) || char(10) || 'net'",
        "UPDATE cursors SET last = 'x'",
        "UPDATE used SET first = 'x', last = 'y' WHERE first LIKE '4%'",
        "UPDATE flows_left SET address = ''",
    ],
)
def test_what_is_damaged_in_one_record_is_that_records_there_and_back(run_dir, before, damage):
    with closing(sqlite3.connect(before)) as db, db:
        db.execute(damage)
    with closing(opened(run_dir)) as store:
        assert store.endpoint(C2).nonce == "bb"
        assert C2 in {e.key for e in store.endpoints()}
        added = store.add(endpoint(C3), OF, ())
        assert str(added.addresses[0]) != "10.1.0.2"
        assert "addresses" in damage or str(added.addresses[0]) != "10.1.0.1", "what it holds stays held"
        assert store.to_older_builds()
        assert store.endpoint(C2).nonce == "bb"
        assert store.endpoint(C3) == added


def test_two_who_take_over_at_once_take_over_once(run_dir):
    several = multiprocessing.get_context("fork")
    for _ in range(6):
        older_state.make(run_dir / "state.sqlite")
        barrier, told = several.Barrier(5), several.Queue()

        def call(number, barrier=barrier, told=told):
            barrier.wait()
            with closing(opened(run_dir)) as store:
                try:
                    told.put(str(store.add(endpoint(Key("web", f"n{number}", "eth0")), OF, ()).addresses[0]))
                except CniError as e:
                    told.put(f"{e.code} {e.msg}")

        calls = [several.Process(target=call, args=(n,)) for n in range(5)]
        for process in calls:
            process.start()
        answers = sorted(told.get(timeout=30) for _ in calls)
        for process in calls:
            process.join(30)
        assert [a for a in answers if "." in a[:8]] == ["10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]
        assert sum(a.startswith("101 ") for a in answers) == 1
        assert len(state_log.rows((run_dir / "state.log").read_bytes())) == 6 + 7 + 1, "endpoints, addresses, a result"
        for path in run_dir.iterdir():
            path.unlink()


def _traced(act, calls_until_end):
    """Run act in a child that is killed at its so-and-so-many-th call into the system; whether it came to its end."""
    pid = os.fork()
    if not pid:
        seen = 0

        def audit(event, _arguments):
            nonlocal seen
            if event.startswith(("os.", "open", "sqlite3", "fcntl", "shutil")):
                seen += 1
                if seen == calls_until_end:
                    os.kill(os.getpid(), signal.SIGKILL)

        import sys

        sys.addaudithook(audit)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("way", ["taken over", "given back", "begun"])
def test_who_is_killed_on_the_way_leaves_one_truth(run_dir, way):
    def start():
        for path in run_dir.iterdir() if run_dir.exists() else ():
            path.unlink()
        if way != "begun":
            older_state.make(run_dir / "state.sqlite")
        if way == "given back":
            with closing(opened(run_dir)) as store:
                store.endpoint(C1)

    def act():
        with closing(opened(run_dir)) as store:
            if way == "given back":
                store.to_older_builds()
            else:
                store.add(endpoint(C3), OF, ())

    truths = set()
    for number in range(1, 200):
        start()
        ended = _traced(act, number)
        log, older = run_dir / "state.log", run_dir / "state.sqlite"
        seen = older_state.seen(older) if older.exists() else "nothing"
        is_log = log.exists()
        assert not is_log or seen == "version 2"
        truths.add((is_log, seen if isinstance(seen, str) else "version 1"))
        if not isinstance(seen, str):
            assert {row[1] for row in seen["endpoints"]} >= {"c1", "c2"}
        with closing(opened(run_dir)) as store:
            held = {e.key.container: str(e.addresses[0]) for e in store.endpoints()}
            assert held.items() >= ({} if way == "begun" else {"c1": "10.1.0.1", "c2": "10.1.0.2"}).items()
            store.add(endpoint(Key("web", "after", "eth0")), OF, ())
        assert names(run_dir) == ["state.log", "state.sqlite"]
        assert older_state.seen(older) == "version 2"
        if ended:
            break
    assert ended
    assert len(truths) >= 2, truths
