"""Claims about a state file that is not as it should be: one clear error, and never a new file in its place."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import threading
from contextlib import closing
from errno import EMFILE
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store import statefile
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.log import file, records
from calico_rkt.plugin.store.log.file import put_anew
from tests import state_log
from tests.clients.support.lab import until

KEY = Key("web", "c1", "eth0")


@pytest.fixture(params=["cold", "warm"])
def store(tmp_path, request):
    """Opened anew for what comes, or still open from before, as a long-lived process has it."""
    made = LocalStore(tmp_path / "run", tmp_path / "lib", verify=pytest.fail, warm=request.param == "warm")
    made.add(Endpoint(KEY, "aa", "/n", 4, 7, "crk0", "02:00", (ip_address("10.1.0.1"),)), Ipam("dhcp"), ())
    made.close()
    yield made
    made._state.close()


@pytest.fixture
def path(store):
    return store.run_dir / "state.log"


def refused(store):
    with pytest.raises(CniError) as caught:
        store.endpoint(KEY)
    return caught.value


def test_the_folder_and_the_file_are_for_root_alone(path):
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = sorted(path.parent.iterdir())
    assert [(p.name, p.stat().st_mode & 0o777) for p in files] == [
        ("state.log", 0o600),
        ("state.sqlite", 0o600),
    ]


@pytest.mark.parametrize("content", [b"", b"not a log, but long enough to look at" * 99, b"calico-rkt-state 1 "])
def test_a_damaged_file_is_an_error_and_stays_as_it_is(store, path, content):
    path.write_bytes(content)
    error = refused(store)
    assert error.code == Code.IO
    assert str(path) in error.msg
    assert path.read_bytes() == content


def test_a_file_damaged_in_the_middle_is_an_error(store, path):
    data = bytearray(path.read_bytes())
    data[100:110] = b"\xff" * 10
    path.write_bytes(data)
    assert "damaged" in refused(store).msg
    with pytest.raises(CniError):
        store.remove(KEY, "aa")
    assert path.read_bytes() == data


def test_the_beginning_of_a_record_that_was_answered_to_nobody_is_cut_off_by_who_writes_next(store, path):
    whole = path.read_bytes()
    store.finish(KEY, "aa", "{}")
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert store.endpoint(KEY).result == ""
    assert path.read_bytes() == data[:-1], "who reads changes nothing"
    store.finish(KEY, "aa", "{}")
    assert path.read_bytes() == data
    assert data.startswith(whole)
    assert store.endpoint(KEY).result == "{}"


def _spare(path):
    """Bytes that are allocated behind a file's end."""
    found = path.stat()
    return (found.st_blocks << 9) - found.st_size


def test_room_to_give_back_is_kept_also_where_an_ended_writer_s_beginning_was_cut_off(store, path):
    assert _spare(path) >= 16 << 10
    with path.open("ab") as other:
        other.write(b"\x01\x00")
    another = Endpoint(Key("web", "c2", "eth0"), "bb", "/n", 4, 7, "crk1", "02:01", (ip_address("10.1.0.2"),))
    store.add(another, Ipam("dhcp"), ())
    assert _spare(path) >= 16 << 10


def test_who_tidies_behind_a_call_fails_for_nothing(store, path, monkeypatch):
    monkeypatch.setattr(statefile, "_BEHIND", (1 << 20, 0))
    state = statefile.warm(path)
    with state.read() as tables:
        assert tables.of("e")
    path.write_bytes(b"no log" * 100)
    statefile.tidy()
    assert "can't be used" in refused(store).msg
    state.close()
    del statefile._warm[path]


def test_a_folder_in_the_place_of_the_file_is_an_error(store, path):
    path.unlink()
    path.mkdir()
    assert refused(store).code == Code.IO


def test_a_pipe_in_the_place_of_the_file_is_an_error_and_nobody_waits(store, path):
    path.unlink()
    os.mkfifo(path)
    assert "no regular file" in refused(store).msg


def test_somebody_elses_file_is_an_error(store, path):
    path.write_bytes(b"#!/bin/sh\n" + b"true\n" * 100)
    assert "does not begin as a state file of calico-rkt" in refused(store).msg


def test_another_version_is_an_error_that_says_so(store, path):
    path.write_bytes(path.read_bytes().replace(b"calico-rkt-state 1", b"calico-rkt-state 7", 1))
    error = refused(store)
    assert "version 7, this program knows 1" in error.msg
    assert "move it away" in error.details


def test_a_folder_that_others_write_to_is_refused(store, path):
    path.parent.chmod(0o777)
    error = refused(store)
    assert error.code == Code.IO
    assert "chmod" in error.details


def test_the_records_of_an_earlier_boot_are_dropped(store, tmp_path, monkeypatch):
    assert store.endpoint(KEY) is not None
    store._state.close()  # no process outlives a boot
    other = tmp_path / "boot_id"
    other.write_text("another\n")
    monkeypatch.setattr(statefile, "_BOOT_ID", other)
    assert store.endpoint(KEY) is None
    assert store.endpoints() == store.ranges() == ()


def _called_after_boot(run_dir, barrier, number, told):
    store = LocalStore(run_dir, run_dir, verify=pytest.fail)
    barrier.wait()
    net = ip_network("10.1.0.0/24")
    ranges = Range(net, net[1], net[-2])
    key = Key("web", f"c{number}", "eth0")
    with closing(store):
        added = store.add(
            Endpoint(key, f"n{number}", "/n", 4, number, "crk0", "02:00", ()), Ipam("h", ((ranges,),)), ()
        )
    told.put((number, str(added.addresses[0])))


def test_calls_that_come_at_once_after_a_boot_keep_each_other_s_records(tmp_path):
    several = multiprocessing.get_context("fork")
    run_dir = tmp_path / "run"
    for _ in range(8):
        with closing(LocalStore(run_dir, run_dir, verify=pytest.fail)) as before:
            held = (ip_address("10.1.0.1"),)
            before.add(Endpoint(KEY, "aa", "/n", 4, 7, "crk0", "02:00", held), Ipam("dhcp"), ())
        state_log.change(run_dir / "state.log", boot="an earlier one")
        barrier, told = several.Barrier(6), several.Queue()
        calls = [several.Process(target=_called_after_boot, args=(run_dir, barrier, n, told)) for n in range(6)]
        for call in calls:
            call.start()
        answers = dict(told.get(timeout=20) for _ in calls)
        for call in calls:
            call.join(20)
        assert len(set(answers.values())) == 6
        with closing(LocalStore(run_dir, run_dir, verify=pytest.fail)) as after:
            recorded = after.endpoints()
        assert {e.key.container: str(e.addresses[0]) for e in recorded} == {f"c{n}": a for n, a in answers.items()}
        (run_dir / "state.log").unlink()


def test_a_file_that_does_not_say_its_boot_loses_no_record(store, path):
    data = bytearray(path.read_bytes())
    data[25] ^= 1
    path.write_bytes(data)
    assert "begin" in refused(store).msg
    assert path.read_bytes() == data


WHO = ("e", '["web","c1","eth0"]')


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: e.update({WHO: state_log.with_field(e[WHO], 3, "seven")}),
        lambda e: e.update({WHO: state_log.with_field(e[WHO], 0, {"hex": "0102"})}),
        lambda e: e.update({("e", '[{"hex":"ff"},7,"eth0"]'): e.pop(WHO)}),
        lambda e: e.update({WHO: state_log.with_field(e[WHO], -1, ["4:zz"])}),
        lambda e: e.update({WHO: state_log.with_field(e[WHO], -1, [""])}),
        lambda e: e.update({WHO: state_log.with_field(e[WHO], -1, [17])}),
        lambda e: e.update({WHO: '["4:0a010001"]\tnull'}),
        lambda e: e.update({("s", '"web"'): '["no net"]'}),
        lambda e: e.update({("s", '""'): '[{"hex":"00"}]'}),
    ],
)
def test_one_damaged_record_is_named_and_the_others_go_on(store, path, damage, caplog, monkeypatch):
    monkeypatch.setattr(LOG, "propagate", True)
    state_log.change(path, damage)
    other = Endpoint(Key("db", "c2", "eth0"), "bb", "/n", 4, 8, "crk1", "02:01", (ip_address("10.2.0.1"),))
    store.add(other, Ipam("dhcp"), ())
    assert other in store.endpoints()
    assert store.endpoint(other.key) == other
    assert store.endpoints("db") == (other,)
    assert store.ranges() == ()
    assert {u.network: u.endpoints for u in store.usage()}["db"] == 1
    assert str(path) in caplog.text
    assert store.remove(other.key, "bb")


def test_a_file_that_was_replaced_under_a_long_lived_process_is_opened_again(store, path):
    assert store.endpoint(KEY) is not None
    path.unlink()
    assert store.endpoint(KEY) is None
    assert not store.is_there()
    store.add(Endpoint(KEY, "bb", "/n", 4, 7, "crk0", "02:00", (ip_address("10.1.0.1"),)), Ipam("dhcp"), ())
    assert store.endpoint(KEY).nonce == "bb"
    assert path.exists()


def test_an_error_inside_of_a_transaction_takes_all_of_it_back(store):
    def half_way():
        with store._state.write() as tables:
            tables.drop(*WHO)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert store.endpoint(KEY) is not None


def test_a_locked_file_asks_to_try_again_and_is_read_all_the_same(store, path, monkeypatch):
    monkeypatch.setattr(statefile, "_BUSY_SECONDS", 0.01)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CniError) as caught:
            store.remove(KEY, "aa")
        assert caught.value.code == Code.TRY_AGAIN
        assert str(path) in caught.value.msg
        assert store.endpoint(KEY).nonce == "aa"
    monkeypatch.setattr(statefile, "_BUSY_SECONDS", 10)
    assert store.remove(KEY, "aa")


def test_what_looks_damaged_is_looked_at_again_when_nobody_writes(store, path):
    whole = path.stat().st_size
    told = []
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.seek(0, os.SEEK_END)
        other.write(b"\xff" * 40)
        other.flush()
        reader = threading.Thread(target=lambda: told.append(store.endpoint(KEY)))
        reader.start()
        reader.join(0.2)
        assert told == [], "it waits for who writes"
        other.truncate(whole)
    reader.join(20)
    assert [e.nonce for e in told] == ["aa"]


def test_who_waited_in_vain_keeps_nobody_waiting(store, path, monkeypatch):
    """The thread that still waits in the kernel gets the lock at last, and lets it go."""
    monkeypatch.setattr(statefile, "_BUSY_SECONDS", 0.01)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for _ in range(3):
            with pytest.raises(CniError):
                store.remove(KEY, "aa")
    monkeypatch.setattr(statefile, "_BUSY_SECONDS", 10)
    assert store.remove(KEY, "aa")


def test_who_reads_in_a_process_does_not_wait_for_a_thread_of_it_that_waits_for_another_process(store, path):
    store.endpoint(KEY)
    done = []
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writers = [
            threading.Thread(target=lambda n=n: done.append(store.finish(KEY, "aa", f'"{n}"'))) for n in range(3)
        ]
        for writer in writers:
            writer.start()
        until(
            lambda: len([t for t in threading.enumerate() if t.name == "lock"]) == 3, "all wait in the kernel's queue"
        )
        read = []
        reader = threading.Thread(target=lambda: read.append(store.endpoint(KEY)))
        reader.start()
        reader.join(5)
        assert [e.result for e in read] == [""]
        assert done == []
    for writer in writers:
        writer.join(20)
    assert done == [None] * 3
    assert store.endpoint(KEY).result in ('"0"', '"1"', '"2"')


def test_who_waits_for_a_file_that_is_replaced_meanwhile_writes_to_the_new_one(store):
    store.endpoint(KEY)
    other = LocalStore(store.run_dir, store.lib_dir, verify=pytest.fail)
    writer = threading.Thread(target=store.finish, args=(KEY, "aa", '"late"'))
    with other._state._turn, other._state._locked() as file:
        writer.start()
        until(lambda: "lock" in {t.name for t in threading.enumerate()}, "it waits")
        file.shrink()
    writer.join(20)
    assert other.endpoint(KEY).result == '"late"'
    other.close()


def test_who_writes_the_log_anew_sees_what_others_write_to_it_at_that_moment(store, path, monkeypatch):
    """The new file has nobody's lock: a record may come as soon as it stands in its place."""
    other = LocalStore(store.run_dir, store.lib_dir, verify=pytest.fail)
    mine, theirs = (
        Endpoint(Key("web", name, "eth0"), name, "/n", 4, 7, f"crk{name}", "02:00", (ip_address("10.1.0.2"),))
        for name in ("mine", "theirs")
    )

    def meanwhile(*args):
        fd = put_anew(*args)
        other.add(theirs, Ipam("dhcp"), ())
        return fd

    store.endpoint(KEY)
    monkeypatch.setattr(file, "put_anew", meanwhile)
    monkeypatch.setattr(statefile, "_BEHIND", (1 << 20, 0))
    before = path.stat().st_ino
    store._state.tidy()
    assert path.stat().st_ino != before
    assert store.endpoint(theirs.key) == theirs
    with pytest.raises(CniError, match=r"10\.1\.0\.2"):
        store.add(mine, Ipam("dhcp"), ())
    assert other.endpoint(theirs.key) == theirs
    other.close()


def _gives(run_dir, barrier, number, told):
    """A process that writes the log anew with each call."""
    statefile._IN_A_CALL = (1 << 20, 0)
    store = LocalStore(run_dir, run_dir, verify=pytest.fail)
    net = ip_network("10.1.0.0/22")
    ipam = Ipam("host-local", ((Range(net, net[1], net[-2]),),))
    barrier.wait(20)
    for n in range(80):
        key = Key("web", f"{number}-{n}", "eth0")
        made = Endpoint(key, "nonce", "/n", 4, 7, f"crk{number}{n}", "02:00", ())
        told.put((key.container, store.add(made, ipam, ()).addresses))
        if n % 3 == 0:
            store.finish(key, "nonce", "{}")
    store.close()


def test_several_that_write_the_log_anew_all_the_time_lose_no_record_and_give_no_address_twice(tmp_path):
    several = multiprocessing.get_context("fork")
    barrier, told = several.Barrier(3), several.Queue()
    run_dir = tmp_path / "run"
    processes = [several.Process(target=_gives, args=(run_dir, barrier, n, told)) for n in range(3)]
    for process in processes:
        process.start()
    given = dict(told.get(timeout=60) for _ in range(240))
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    assert len(set(given.values())) == 240
    with closing(LocalStore(run_dir, run_dir, verify=pytest.fail)) as store:
        assert {e.key.container: e.addresses for e in store.endpoints()} == given


def test_an_entry_that_is_none_is_told_each_time(store, path):
    reader = records.Reader(statefile.boot_id())
    lines = b'=e\n["web","c0","eth0"]\t["4:0a010005"]\t["x"]\n["web","c1","eth0"] without a tab\n'
    data, _ = records.record(lines, reader.check)
    path.write_bytes(records.head(statefile.boot_id()) + data)
    store._state.close()
    assert [refused(store).code for _ in range(3)] == [Code.IO] * 3


def test_who_can_open_nothing_after_it_waited_keeps_no_lock(store, path, monkeypatch):
    state, told, asked = store._state, [], []

    def opened():
        asked.append(1)
        if len(asked) == 2:
            raise OSError(EMFILE, "no descriptor is free")
        return statefile.StateFile._opened(state)

    def late():
        with pytest.raises(CniError) as caught:
            store.remove(KEY, "aa")
        told.append(caught.value.code)

    monkeypatch.setattr(state, "_opened", opened)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=late)
        writer.start()
        until(lambda: "lock" in {t.name for t in threading.enumerate()}, "it waits")
    writer.join(20)
    assert told == [Code.IO]
    with path.open("rb") as third:
        fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_log_much_longer_than_it_needs_to_be_is_written_anew_and_others_notice(store, path):
    other = LocalStore(store.run_dir, store.lib_dir, verify=pytest.fail)
    assert other.endpoint(KEY).nonce == "aa"
    for n in range(400):
        store.finish(KEY, "aa", f'"{n}"')
    long = path.stat().st_size
    store._state.tidy()
    assert path.stat().st_size == long, "it needs no more than some hundreds of lines too many"
    for n in range(400):
        store.finish(KEY, "aa", f'"{n}"')
    store._state.tidy()
    assert path.stat().st_size < 2000
    assert _spare(path) >= 16 << 10, "all can be given back, whoever fills the disk now"
    assert other.endpoint(KEY).result == store.endpoint(KEY).result == '"399"'
    other.finish(KEY, "aa", "{}")
    assert store.endpoint(KEY).result == "{}"
    assert sorted(p.name for p in path.parent.iterdir()) == ["state.log", "state.sqlite"]
    other.close()


def test_a_forked_process_has_an_open_file_and_a_lock_of_its_own(store):
    several = multiprocessing.get_context("fork")
    told = several.Queue()

    def child():
        told.put(store.remove(KEY, "aa"))

    with store._state.read():
        pass
    process = several.Process(target=child)
    process.start()
    assert told.get(timeout=20)
    process.join(20)
    assert store.endpoint(KEY) is None
