"""Claims about what a look at all networks of a host costs: files are listed and records read once, not once each."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.workspace.policy import parse_files
from calico_rkt.plugin.enforce.compiled import compile_published
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.publish import local as publish_local
from calico_rkt.plugin.publish.local import Local
from calico_rkt.plugin.store import local


class Counted(local.LocalStore):
    """Counts what is asked of it."""

    def __init__(self, folder):
        super().__init__(folder / "run", folder / "lib", local._verify)
        self.asked = Counter()

    def __getattribute__(self, name):
        if name in ("endpoints", "published_ids"):
            self.asked[name] += 1
        return super().__getattribute__(name)


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "base_present", lambda: False)
    store, known = Counted(tmp_path), {}
    for n in range(12):
        text = {"cniVersion": "1.0.0", "name": f"n{n}", "type": "calico"}
        conf, _ = parse_conf(json.dumps(text | {"ipam": {"type": "host-local", "subnet": f"10.{n}.0.0/16"}}).encode())
        known[conf.name] = conf
        store.publish(compile_published(conf, files=()))
        if n % 2:
            key = Key(conf.name, "c", "eth0")
            store.add(Endpoint(key, "aa", "/n", 4, 7, f"crk{n}", "02", (ip_address(f"10.{n}.0.2"),)), Ipam("dhcp"), ())
    store.asked.clear()
    return Local(store, known, dict.fromkeys(known, ()))


@pytest.mark.parametrize(
    "look",
    [
        Local.states,
        Local.plan,
        lambda local: local.prune(dry_run=True),
    ],
)
def test_a_look_at_all_networks_asks_once(host, look):
    store = host.store
    look(host)
    assert max(store.asked.values()) <= 2, store.asked


def test_what_is_in_step_is_not_written_again_to_be_told(host, monkeypatch):
    """The published text was read back; a network that changed, or has none, is compiled as an apply would."""
    written = []

    def compiled(conf, *known):
        written.append(conf.name)
        return compile_published(conf, *known)

    monkeypatch.setattr(publish_local, "compile_published", compiled)
    files = {**host.files, "n3": parse_files({"n3.yaml": b"network: n3\ningress: []\n"})}
    host.store.unpublish("n5")
    edited = host.store.lib_dir / "profiles" / "n7.yaml"
    edited.write_text(edited.read_text().replace("Allow", "Deny"))
    found = {s.network: s.state for s in replace(host, files=files).states()}
    assert written == ["n3", "n5"]
    assert (found.pop("n3"), found.pop("n5"), found.pop("n7")) == ("stale", "not published", "edited")
    assert set(found.values()) == {"in step"}


def test_prune_deletes_what_has_no_endpoint_and_goes_on_past_one_that_can_not_be(host):
    store = host.store
    stuck = store.lib_dir / "profiles" / "n4.yaml"
    stuck.unlink()
    stuck.mkdir()
    gone, failed = host.prune(dry_run=False)
    assert gone == ("n0", "n10", "n2", "n6", "n8")
    assert [str(stuck) in e.msg for e in failed] == [True]
    assert [i for i in store.published_ids() if i != "n4"] == ["n1", "n11", "n3", "n5", "n7", "n9"]


def test_what_somebody_applies_this_moment_is_not_told_as_damage(host, monkeypatch):
    """Half of it is there: who looks, looks under the lock that the apply holds."""
    monkeypatch.setattr(table, "close_first", lambda: None)
    store = host.store
    text = compile_published(host.known["n1"], files={"n1.yaml": b"network: n1\ningress: []\n"}).text
    with policy_lock(store.run_dir):
        store.stage({"n1": text})
        for staged in store.run_dir.parent.glob("lib/**/n1*next*"):
            staged.unlink()  # as between two renames
        waiting = threading.Thread(target=host.finish_apply)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert not store.damaged
        store.abort()
    waiting.join(30)
    assert not store.damaged
