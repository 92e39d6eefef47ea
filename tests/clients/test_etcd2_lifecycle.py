"""Profiles of a cluster of 2015 from first ADD to prune: published once, changed by apply alone, others' left alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import states, status, tool
from tests.clients.support.etcd2 import (
    ASSIGNED,
    HOSTS,
    POOLS,
    RULES,
    TAGS,
    V1,
    OldEtcd,
    old_conf,
    old_inconsistent,
    old_left_in,
)
from tests.clients.support.etcd_proxy import URL, Proxy
from tests.clients.support.lab import PLUGINS, Lab, environment
from tests.clients.support.warm_process import Warm

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

RACE = Path(__file__).parent / "support" / "programs" / "race_2015.py"
APPLY = "/calico/calico-rkt/apply"
OPEN = """network: net1
ingress:
  - action: Allow
    protocol: TCP
    source: {nets: [192.0.2.0/24, 198.51.100.0/24], network: [db, web]}
    destination: {ports: [8080]}
  - default
"""
CLOSED = "network: net2\negress: []\n"


def apply(lab: Lab, *flags: str) -> int:
    return tool(lab, "apply", "--yes", *flags).returncode


@pytest.fixture
def conf(lab: Lab, old: OldEtcd) -> dict[str, Any]:
    made = old_conf(old)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    return made


def test_a_cluster_s_policy_does_not_depend_on_which_host_starts_first(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    lab.override("net1", OPEN)
    netns = lab.netns("a")
    assert "calico-rkt apply" in cni("ADD", conf, "a", netns).refused(106)["details"]
    assert (lab.left(), old_left_in(old)) == ({}, [])
    assert states(lab) == {"net1": "not published"}
    assert tool(lab, "apply", "--dry-run").returncode == 1
    assert RULES not in old.leaves()
    assert apply(lab) == 0
    assert states(lab) == {"net1": "in step"}
    first, *more = old.values()[RULES]["inbound_rules"]
    assert first == {
        "action": "allow",
        "ip_version": 4,
        "protocol": "tcp",
        "src_net": "192.0.2.0/24",
        "src_tag": "db",
        "dst_ports": [8080],
    }
    assert len(more) == 4
    cni.add(conf, "a", netns)
    lab.path("/etc/calico-rkt/profiles/net1.yaml").unlink()
    cni.add(conf, "b", lab.netns("b"))
    assert states(lab) == {"net1": "stale"}


def test_apply_refuses_to_overwrite_an_edit(lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]) -> None:
    cni.add(conf, "a", lab.netns("a"))
    assert states(lab) == {"net1": "in step"}
    lab.override("net1", OPEN)
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 0, done
    assert b"192.0.2.0/24, 198.51.100.0/24 to port 8080" in done.stdout
    added = [line for line in done.stdout.splitlines() if line.startswith(b"+") and b"action: Allow" in line]
    assert len(added) == 1
    for key, value in (
        (RULES, {**old.values()[RULES], "inbound_rules": [{"action": "allow", "src_net": "10.9.9.0/24"}]}),
        (TAGS, ["net1", "more"]),
    ):
        old.set(key, value)
        assert states(lab) == {"net1": "edited"}
        done = tool(lab, "apply", "--yes")
        assert done.returncode == 1
        assert (b"10.9.9.0/24" in done.stdout) == (key == RULES)
        assert old.values()[key] == value
        assert apply(lab, "--take-over") == 0
        assert states(lab) == {"net1": "in step"}
    assert old.values()[TAGS] == ["net1"]
    assert APPLY not in old.leaves()


def test_a_profile_of_another_plugin_is_shared_and_not_changed(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    stock = {"id": "net1", "inbound_rules": [{"action": "allow", "src_tag": "net1"}], "outbound_rules": [{}]}
    old.set(RULES, stock)
    old.set(TAGS, ["net1"])
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    cni("CHECK", conf, "a", netns).succeeded()
    assert states(lab) == {"net1": "not ours"}
    assert apply(lab) == 1
    cni.delete(conf, "a", netns)
    assert tool(lab, "prune", "--yes").stdout == b""
    assert old.values()[RULES] == stock
    assert apply(lab, "--take-over") == 0
    assert states(lab) == {"net1": "in step"}


def test_what_the_2015_model_can_not_say_is_refused_before_anything_is_done(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    lab.override("net1", "network: net1\ningress:\n  - action: Allow\n    source: {notNets: [10.9.0.0/16]}\n")
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 2, done
    assert b"CR531" in done.stderr
    assert "negation" in cni("ADD", conf, "a", lab.netns("a")).refused(7)["msg"]
    assert RULES not in old.leaves()


def test_prune_takes_profiles_that_no_endpoint_of_the_cluster_uses(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    (elsewhere,) = old.endpoints().values()
    assert tool(lab, "prune", "--yes").stdout == b""
    cni.delete(conf, "a", netns)
    place = f"{HOSTS}node9/workload/rkt/w/endpoint/e"
    old.set(place, {k: v for k, v in elsewhere.items() if k != "profile_ids"} | {"profile_id": "net1"})
    assert tool(lab, "prune", "--yes").stdout == b""
    old.remove(place)
    assert tool(lab, "prune", "--dry-run").stdout == b"would delete profile net1\n"
    assert tool(lab, "prune", "--yes").stdout == b"deleted profile net1\n"
    assert f"{V1}/policy/profile/net1" not in str(old.leaves())
    cni.add(conf, "a", netns)
    assert {RULES, TAGS} <= set(old.leaves())


def test_prune_takes_the_tags_of_a_profile_whose_publishing_was_cut_short(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    cni.add(conf, "a", lab.netns("a"))
    for network, tags in (("cut", ["cut"]), ("theirs", ["theirs", "more"]), ("used", ["used"])):
        old.set(f"{V1}/policy/profile/{network}/tags", tags)
    (endpoint,) = old.endpoints().values()
    old.set(f"{HOSTS}node9/workload/rkt/w/endpoint/e", endpoint | {"profile_ids": ["used"]})
    assert tool(lab, "prune", "--dry-run").stdout == b"would delete profile cut\n"
    assert tool(lab, "prune", "--yes").stdout == b"deleted profile cut\n"
    left = {
        key.removeprefix(f"{V1}/policy/profile/") for key in old.leaves() if key.startswith(f"{V1}/policy/profile/")
    }
    assert left == {"net1/tags", "net1/rules", "theirs/tags", "used/tags"}
    assert tool(lab, "prune", "--yes").stdout == b""


def test_a_prune_that_was_cut_short_is_made_good_by_the_next_add(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    cni.add(conf, "a", lab.netns("a"))
    old.remove(TAGS)
    assert states(lab) == {"net1": "edited"}
    assert any("has lost its tags" in n["why"] for n in status(lab)["networks"])
    cni.add(conf, "b", lab.netns("b"))
    assert states(lab) == {"net1": "in step"}


def test_a_prune_while_endpoints_come_and_go_takes_no_profile_from_one(
    lab: Lab, old: OldEtcd, conf: dict[str, Any]
) -> None:
    netns = lab.netns("a")
    warm = Warm(lab)
    try:
        for _ in range(6):
            warm("ADD", conf, "a", netns)
            warm("DEL", conf, "a", netns)
            prune = lab.start(f"{PLUGINS}/calico", "prune", "--yes", env=environment())
            while True:
                warm("ADD", conf, "a", netns)
                if prune.poll() is not None:
                    break
                warm("DEL", conf, "a", netns)
            assert {RULES, TAGS} <= set(old.leaves())
            warm("DEL", conf, "a", netns)
    finally:
        warm.close()
    assert old_left_in(old) == []


def race(lab: Lab, conf: dict[str, Any], mode: str) -> str:
    """A prune with an ADD in the middle of it, or the other way round; what the outer one said."""
    return lab.out(sys.executable, str(RACE), mode, json.dumps(conf)).strip()


def test_a_prune_puts_the_profile_of_an_endpoint_back_that_it_did_not_see(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    lab.override("net1", OPEN)
    assert apply(lab) == 0
    published = {key: old.leaves()[key] for key in (RULES, TAGS)}
    lab.netns("a")
    assert race(lab, conf, "prune") == "kept"
    assert len(old.endpoints()) == 1
    assert {key: old.leaves()[key] for key in (RULES, TAGS)} == published
    cni("CHECK", conf, "a", "/var/run/netns/a").succeeded()


def test_an_add_whose_profile_is_pruned_in_the_middle_of_it_begins_anew(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    cni.add(conf, "first", lab.netns("first"))
    cni.delete(conf, "first", "/var/run/netns/first")
    lab.netns("a")
    assert race(lab, conf, "add") == "added"
    assert len(old.endpoints()) == 1
    assert old_inconsistent(old) == []
    assert {RULES, TAGS} <= set(old.leaves())
    cni("CHECK", conf, "a", "/var/run/netns/a").succeeded()


def test_of_two_pools_that_are_made_at_once_the_later_one_goes_again(
    lab: Lab, old: OldEtcd, conf: dict[str, Any]
) -> None:
    lab.netns("a")
    assert race(lab, conf, "pool") == "added"
    assert [k for k in old.values() if "/pool/" in k] == [f"{POOLS}10.0.0.0-8"]
    assert old_inconsistent(old) == []
    assert len([k for k in old.values() if "/assignment/10.0.0.0-8/" in k]) == 1


def test_profiles_are_exported_and_brought_back(lab: Lab, old: OldEtcd, conf: dict[str, Any]) -> None:
    lab.override("net1", OPEN)
    assert apply(lab) == 0
    published = old.leaves()[RULES]
    assert tool(lab, "export", "--from", "etcdv2", "-o", "/run/all.yaml").returncode == 0
    assert "name: net1" in lab.path("/run/all.yaml").read_text()
    old.remove(f"{V1}/policy/profile/net1")
    assert states(lab) == {conf["name"]: "not published"}
    done = tool(lab, "import", "/run/all.yaml", "--to", "etcdv2", "--yes")
    assert done.returncode == 0, done
    assert states(lab) == {"net1": "in step"}
    assert old.leaves()[RULES] == published


def test_gc_frees_what_a_reboot_left_in_the_cluster(lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]) -> None:
    cni.add(conf, "alive", lab.netns("alive"))
    cni.add(conf, "gone", lab.netns("gone"))
    lab.out("ip", "netns", "del", "gone")
    lab.out("rm", "-r", "/run/calico-rkt")
    assert b"would free net1 gone eth0" in tool(lab, "gc", "--dry-run").stdout
    done = tool(lab, "gc")
    assert done.returncode == 0, done
    assert b"freed net1 gone eth0" in done.stdout
    assert b"alive" not in done.stdout
    (left,) = old.endpoints().values()
    assert left["calico_rkt"]["container"] == "alive"
    assert old_inconsistent(old) == []
    cni.delete(conf, "alive", "")
    assert old_left_in(old) == []


def test_the_runtime_s_gc_frees_what_it_does_not_list(
    lab: Lab, cni: Caller, old: OldEtcd, conf: dict[str, Any]
) -> None:
    for name in ("alive", "gone", "listed"):
        cni.add(conf, name, lab.netns(name))
    for name in ("gone", "listed"):
        lab.out("ip", "netns", "del", name)
    listed = [{"containerID": "listed", "ifname": "eth0"}]
    cni("GC", {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": listed}).succeeded()
    assert {e["calico_rkt"]["container"] for e in old.endpoints().values()} == {"alive", "listed"}
    assert old_inconsistent(old) == []


def test_status_says_what_stays_as_it_is(lab: Lab, old: OldEtcd, conf: dict[str, Any]) -> None:
    old.set(f"{POOLS}10.1.0.0-16", {"cidr": "10.1.0.0/16", "masquerade": True})
    (warning,) = status(lab)["warnings"]
    assert "masquerades" in warning
    old.remove(f"{HOSTS}node1")
    assert any("no host 'node1'" in w for w in status(lab)["warnings"])
    assert conf["name"] in states(lab)
    assert ASSIGNED not in old.leaves()


@pytest.fixture
def both(lab: Lab, old: OldEtcd) -> tuple[str, str]:
    """Two networks in force whose files now say something else: net1 more than before, net2 less."""
    for number in (1, 2):
        made = old_conf(old, f"net{number}", f"10.{number}.0.0/16")
        lab.write(f"/etc/cni/net.d/net{number}.conf", json.dumps(made))
    assert apply(lab) == 0
    lab.override("net1", OPEN)
    lab.override("net2", CLOSED)
    return RULES, RULES.replace("net1", "net2")


def changes_since(old: OldEtcd, index: int, count: int) -> list[tuple[str, str]]:
    """The keys that were written or deleted after an index, by etcd's own account, and how."""
    found = []
    for _ in range(count):
        event = old.curl(f"/v2/keys/calico?recursive=true&wait=true&waitIndex={index + 1}")
        index = event["node"]["modifiedIndex"]
        found.append((event["node"]["key"], event["action"]))
    return found


def test_apply_takes_away_before_it_adds(lab: Lab, old: OldEtcd, both: tuple[str, str]) -> None:
    index = old.curl("/v2/keys/marker", "-X", "PUT", "-d", "value=here")["node"]["modifiedIndex"]
    assert apply(lab) == 0
    assert changes_since(old, index, 4) == [
        (APPLY, "create"),
        (both[1], "compareAndSwap"),
        (both[0], "compareAndSwap"),
        (APPLY, "compareAndDelete"),
    ]
    assert states(lab) == {"net1": "in step", "net2": "in step"}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_apply_that_is_cut_short_is_finished_by_the_next(
    lab: Lab, proxy: Proxy, old: OldEtcd, both: tuple[str, str], when: str
) -> None:
    asked = 0
    proxied = {n: json.dumps(old_conf(URL, f"net{n}", f"10.{n}.0.0/16")) for n in (1, 2)}
    before = {key: old.leaves()[key] for key in both}
    seen = set()
    for number in range(1, 40):
        for n, text in proxied.items():
            lab.write(f"/etc/cni/net.d/net{n}.conf", text)
        for key, value in before.items():
            old.set(key, value)
        proxy.start(f"{number} {when} forever")
        done = tool(lab, "apply", "--yes")
        asked = len(proxy.log())
        half = APPLY in old.leaves()
        now = tuple(old.leaves()[key] != before[key] for key in both)
        seen.add((half, *now))
        assert now != (True, False)  # net1 says more now: never before net2 says less
        if asked < number:
            assert done.returncode == 0
            break
        proxy.start()
        if half:
            assert any("cut short" in w for w in status(lab)["warnings"])
        assert apply(lab) == 0
        assert states(lab) == {"net1": "in step", "net2": "in step"}
        assert APPLY not in old.leaves()
    assert asked < 39
    assert {(True, False, False), (True, False, True), (True, True, True)} <= seen
