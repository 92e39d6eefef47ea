"""Claims about a state file that is not as it should be: one clear error, and never a new file in its place."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store import statefile
from calico_rkt.plugin.store.local import LocalStore

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
    return store.run_dir / "state.sqlite"


def refused(store):
    with pytest.raises(CniError) as caught:
        store.endpoint(KEY)
    return caught.value


def test_the_folder_and_the_file_are_for_root_alone(path):
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = sorted(path.parent.iterdir())
    assert [(p.name, p.stat().st_mode & 0o777) for p in files] == [
        ("state.sqlite", 0o600),
        ("state.sqlite-journal", 0o600),
    ]


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look at" * 99, b"SQLite format 3\0"])
def test_a_damaged_file_is_an_error_and_stays_as_it_is(store, path, content):
    path.write_bytes(content)
    error = refused(store)
    assert error.code == Code.IO
    assert str(path) in error.msg
    assert path.read_bytes() == content


def test_a_file_damaged_in_the_middle_is_an_error(store, path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert refused(store).code == Code.IO


def test_a_folder_in_the_place_of_the_file_is_an_error(store, path):
    path.unlink()
    path.mkdir()
    assert refused(store).code == Code.IO


def test_somebody_elses_database_is_an_error(store, path):
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (a)")
    db.commit()
    db.close()
    assert "no state file" in refused(store).msg


def test_another_version_is_an_error_that_names_both(store, path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()
    assert "version 7, this program knows 1" in refused(store).msg


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
        with closing(sqlite3.connect(run_dir / "state.sqlite")) as db, db:
            db.execute("UPDATE boot SET id = 'an earlier one'")
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
        (run_dir / "state.sqlite").unlink()


@pytest.mark.parametrize("damage", ["DELETE FROM boot", "UPDATE boot SET id = x'00'", "INSERT INTO boot VALUES ('b')"])
def test_a_file_that_does_not_say_its_boot_loses_no_record(store, path, damage):
    store._state.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    assert "which boot" in refused(store).msg
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(*) FROM endpoints").fetchone() == (1,)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE endpoints SET netns_inode = 'seven'",
        "UPDATE endpoints SET nonce = x'0102'",
        "UPDATE endpoints SET network = x'ff', container = 7",
        "UPDATE addresses SET address = '4:zz'",
        "UPDATE addresses SET address = ''",
        "UPDATE addresses SET address = 17",
        "INSERT INTO subnets VALUES ('web', 'no net')",
        "INSERT INTO subnets VALUES ('', x'00')",
    ],
)
def test_one_damaged_record_is_named_and_the_others_go_on(store, path, damage, caplog, monkeypatch):
    monkeypatch.setattr(LOG, "propagate", True)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
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
    assert path.exists()


def test_an_error_inside_of_a_transaction_takes_all_of_it_back(store):
    def half_way():
        with store._state.write() as db:
            db.execute("DELETE FROM endpoints")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert store.endpoint(KEY) is not None


def test_a_locked_file_asks_to_try_again(store, path, monkeypatch):
    monkeypatch.setattr(statefile, "_BUSY_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CniError) as caught:
        store.remove(KEY, "aa")
    assert caught.value.code == Code.TRY_AGAIN
    other.execute("ROLLBACK")
    other.close()
    assert store.remove(KEY, "aa")
