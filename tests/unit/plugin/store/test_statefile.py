"""Claims about a state file that is not as it should be: one clear error, and never a new file in its place."""

from __future__ import annotations

import sqlite3
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.conf import Ipam
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store import statefile
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Endpoint, Key

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
