"""Claims about the way back to an older build: every store's records are given, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.local import open_local, open_records
from tests import older_state


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("CALICO_RKT_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("CALICO_RKT_LIB_DIR", str(tmp_path / "lib"))
    monkeypatch.setenv("CALICO_RKT_LOG", "/dev/null")
    return tmp_path / "run"


def downgrade():
    """Exit status, stdout and stderr of the command, in a process of its own."""
    code = "import sys; from calico_rkt.plugin.commands.tree import main; sys.exit(main(['downgrade']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def record(store, container, address):
    key = Key("web", container, "eth0")
    store.add(Endpoint(key, "aa", "/n", 4, 7, "crk0", "02:00", (ip_address(address),)), Ipam("dhcp"), ())


def test_the_records_of_this_host_and_of_its_clusters_are_given(run_dir):
    record(open_local(), "c1", "10.1.0.1")
    record(open_local(), "c2", "10.1.0.2")
    record(open_records("etcd"), "c3", "10.2.0.1")
    said = f"{run_dir}: 2 attachments given to older builds\n{run_dir}/etcd: 1 attachment given to older builds\n"
    assert downgrade() == (0, said, "")
    held = {row[0] for of in (run_dir, run_dir / "etcd") for row in older_state.seen(of / "state.sqlite")["addresses"]}
    assert held == {"4:0a010001", "4:0a010002", "4:0a020001"}
    assert not list(run_dir.rglob("state.log"))


def test_a_host_without_records_has_nothing_to_give(run_dir):
    status, said, _ = downgrade()
    assert (status, "nothing is recorded here" in said) == (0, True)
    assert not run_dir.exists()


def test_what_can_not_be_read_is_not_given_and_stays(run_dir):
    record(open_local(), "c1", "10.1.0.1")
    log = run_dir / "state.log"
    data = log.read_bytes()[:-1] + b"?"
    log.write_bytes(data)
    status, _, complaint = downgrade()
    assert (status, "damaged" in complaint) == (2, True)
    assert log.read_bytes() == data
    assert older_state.seen(run_dir / "state.sqlite") == "version 2"
