"""A host whose state file went while its containers run in; who goes by records cuts nobody off, out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.lab import PUBLISHED, STATE, Lab, conf, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
WORDS = b"host ends of ours are up, and the state file that knows them is not there"


@pytest.fixture
def host(bare_lab: Lab) -> Lab:
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    for name in ("w1", "w2"):
        Caller(bare_lab).add(WEB, name, bare_lab.netns(name))
    bare_lab.out("mv", STATE, "/run/state.was")
    return bare_lab


def runs(host: Lab) -> bool:
    return host.run("ping", "-c", "1", "-W", "1", "10.1.0.2", inside="w1").returncode == 0


@contextmanager
def held(host: Lab, locks: str) -> Iterator[None]:
    """As long as this lasts, somebody works on each attachment that has a lock of this name."""
    holding = f"for lock in /run/calico-rkt/locks/{locks}; do flock $lock sleep 1000 & done; wait"
    process = subprocess.Popen(host.command("sh", "-c", holding), start_new_session=True)
    try:
        for lock in host.path("/run/calico-rkt/locks").glob(locks):
            there = f"/run/calico-rkt/locks/{lock.name}"
            until(lambda: host.run("flock", "-n", there, "true").returncode == 1, f"{there} is held")  # noqa: B023 - now
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)


def test_a_restore_builds_nothing_of_nothing(host: Lab) -> None:
    for words in ((), ("--if-needed",)):
        done = tool(host, "restore", *words)
        assert (done.returncode, done.stdout, WORDS in done.stderr) == (1, b"", True), done
        assert runs(host)
    host.out("mv", "/run/state.was", STATE)
    assert tool(host, "restore").stdout == b"restored 2 endpoints\n"


def test_prune_deletes_no_profile(host: Lab) -> None:
    for words in (("--dry-run",), ("--yes",)):
        done = tool(host, "prune", *words)
        assert (done.returncode, done.stdout, WORDS in done.stderr) == (2, b"", True), done
    assert host.path(PUBLISHED, "web.yaml").exists()
    assert runs(host)


def test_ls_says_that_nobody_knows(host: Lab) -> None:
    done = tool(host, "ls")
    assert (done.returncode, done.stdout) == (1, b"")
    assert WORDS in done.stderr
    host.override("web", "network: web\ningress: [{action: Allow}]\n")
    assert b"applied: web" in tool(host, "apply", "--yes").stdout
    for command in ("gc", "gc --attachment web/w1/eth0", "explain w1 outside", "doctor", "status", "restore"):
        assert tool(host, *command.split()).returncode in (1, 2), command
        assert not host.path(STATE).exists(), command
    assert runs(host)


def test_gc_detaches_nothing_that_attach_made_and_that_lives(bare_lab: Lab) -> None:
    host = bare_lab
    host.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    for name in ("w1", "w2"):
        host.netns(name)
        assert tool(host, "attach", "web", name).returncode == 0
    host.out("mv", STATE, "/run/state.was")
    for words in ((), ("--dry-run",)):
        done = tool(host, "gc", *words)
        assert (done.returncode, done.stdout, WORDS in done.stderr) == (2, b"", True), done
        assert b"web/netns-w1/eth0 is attached, and the record of it is not there" in done.stderr
        assert runs(host)
    with held(host, "chain-*"):  # an attach that is under way has a record soon
        assert b"is attached" not in tool(host, "gc").stderr
    host.out("mv", "/run/state.was", STATE)
    assert tool(host, "gc").returncode == 0
    assert runs(host)
    assert tool(host, "detach", "web", "w1").returncode == 0


def test_doctor_says_that_no_restore_helps(host: Lab) -> None:
    found = json.loads(tool(host, "doctor", "--format", "json").stdout)["findings"]
    found = [f for f in found if f["code"] in ("CR932", "CR940", "CR941")]
    assert [(f["code"], f["fixable"], f["cure_is_command"]) for f in found] == [("CR932", False, False)], found
    assert "state.log back" in found[0]["cure"]
    assert b"restore puts right" not in tool(host, "status").stdout


SPOILT = {
    "nothing": ("true", "CR932", ""),
    "gone": ("nft delete table inet calico_rkt", "CR940", "not in the kernel"),
    "broken": ("nft flush chain inet calico_rkt forward", "CR940", "not whole"),
    "edited": ("nft insert rule inet calico_rkt in-web accept", "CR941", "chain in-web, rule 1: `accept`"),
    "opened": ("nft insert rule inet calico_rkt input accept", "CR940", "not whole"),
}


@pytest.mark.parametrize("way", SPOILT)
def test_what_can_be_seen_of_the_table_is_told_all_the_same(host: Lab, way: str) -> None:
    command, code, words = SPOILT[way]
    host.out(*command.split())
    before = host.out("nft", "list", "ruleset")
    found = json.loads(tool(host, "doctor", "--format", "json").stdout)["findings"]
    found = [f for f in found if f["code"] in ("CR932", "CR940", "CR941")]
    assert found[0]["code"] == "CR932"
    assert [f["code"] for f in found[1:]] == ([code] if words else []), found
    assert all(words in f["message"] and not f["fixable"] and "state.log back" in f["cure"] for f in found[1:]), found
    said = tool(host, "status").stdout.decode()
    assert words in said
    assert "restore puts right" not in said
    assert host.out("nft", "list", "ruleset") == before


def test_without_containers_there_is_nothing_to_lose(host: Lab) -> None:
    for name in ("w1", "w2"):
        host.out("ip", "netns", "del", name)
    done = tool(host, "restore")
    assert (done.returncode, done.stdout) == (0, b"restored 0 endpoints\n"), done
    assert tool(host, "prune", "--yes").stdout == b"deleted profile web\n"
