"""A table of our name that this build may not change: a newer build's, another process's. And an apply of nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_rkt.plugin.enforce.nft import layout
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, Reply
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until
from tests.kernel.support.enforce_world import inside

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"), cni="1.1.0")
TOOL = f"{PLUGINS}/calico"
T = "inet calico_rkt"
_OWNER = """
import ctypes, sys
nft = ctypes.CDLL("libnftables.so.1")
nft.nft_ctx_new.restype = ctypes.c_void_p
context = ctypes.c_void_p(nft.nft_ctx_new(0))
done = nft.nft_run_cmd_from_buffer(context, b"add table inet " + sys.argv[1].encode() + b" { flags owner; }")
print(done, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """One host with an endpoint."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-notours")
    made.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    Caller(made).add(WEB, "w1", made.netns("w1"))
    made.netns("w2")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _whole_afterwards(host: Lab) -> Iterator[None]:
    yield
    host.run("nft", "delete", "table", "inet", "calico_rkt")
    host.out(TOOL, "restore")
    assert now(host) is Standing.WHOLE


def now(lab: Lab) -> Standing:
    with inside(f"/proc/{lab.pid}/ns/net"):
        return standing()


def command(lab: Lab, *words: str) -> tuple[int, str]:
    done = lab.run(TOOL, *words, env=environment())
    text = (done.stdout + done.stderr).decode()
    assert "Traceback" not in text, text
    return done.returncode, text


def tables(lab: Lab) -> list[str]:
    return [line.split()[-1] for line in lab.out("nft", "list", "tables", "inet").splitlines()]


@contextlib.contextmanager
def held(lab: Lab, table: str = "calico_rkt") -> Iterator[None]:
    """Another process has a table, by default that of our name, with nft's flag owner."""
    if table == "calico_rkt":
        lab.out("nft", "delete", "table", *T.split())
    argv = lab.command("/usr/bin/python3", "-c", _OWNER, table)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"0\n"
        assert (now(lab) is Standing.HELD) == (table == "calico_rkt")
        yield


def add(lab: Lab, container: str = "w2") -> Reply:
    return Caller(lab)("ADD", WEB, container, f"/var/run/netns/{container}")


@pytest.mark.parametrize("edit", ["flush ruleset", f"flush chain {T} forward"])
def test_an_apply_of_nothing_restores_a_host_that_is_open(host: Lab, edit: str) -> None:
    host.out("nft", *edit.split())
    code, text = command(host, "apply", "--yes")
    assert (code, "nothing to change" in text, "restored" in text) == (0, True, True), text
    assert now(host) is Standing.WHOLE


def test_an_apply_that_is_refused_restores_a_host_that_is_open(host: Lab) -> None:
    host.override("web", "network: web\ningress: what\n")
    host.out("nft", "flush", "ruleset")
    assert command(host, "apply", "--yes")[0] == 2
    assert now(host) is Standing.WHOLE
    host.path("/etc/calico-rkt/profiles/web.yaml").unlink()


def test_a_dry_run_of_apply_changes_nothing_of_a_table(host: Lab) -> None:
    host.out("nft", "flush", "chain", *T.split(), "forward")
    command(host, "apply", "--dry-run")
    assert now(host) is Standing.BROKEN


def test_a_newer_builds_table_is_left_alone_and_every_call_says_the_way_out(host: Lab) -> None:
    listed = host.out("nft", "list", "table", *T.split())
    newer = listed.replace(f'comment "layout {layout.VERSION} ', f'comment "layout {layout.VERSION + 1} ')
    assert newer != listed
    host.write("/run/newer.nft", f"delete table {T}\n{newer}")
    host.out("nft", "-f", "/run/newer.nft")
    before = host.out("nft", "list", "table", *T.split())
    host.override("web", "network: web\negress: []\n")
    for words in (("apply", "--yes"), ("restore",)):
        code, text = command(host, *words)
        assert code == 2, text
        assert text.count("newer layout") == 1, text
    host.path("/etc/calico-rkt/profiles/web.yaml").unlink()
    code, text = command(host, "apply", "--yes")
    assert (code, "nothing to change" in text) == (2, False), text
    code, text = command(host, "status", "--no-agent")
    assert code == 1
    assert "by a newer build" in text
    assert "use the newer build" in text
    assert "restore puts right" not in text
    assert "newer layout" in Caller(host)("STATUS", WEB).refused(50)["msg"]
    assert "newer layout" in add(host).refused(105)["msg"]
    assert host.out("nft", "list", "table", *T.split()) == before


def test_a_table_that_another_process_holds_is_told_and_all_of_ours_is_dropped_until_it_ends(host: Lab) -> None:
    cni = Caller(host)
    add(host, "w2").succeeded()
    with held(host):
        for words in (("restore",), ("apply", "--yes"), ("restore", "--if-needed")):
            code, text = command(host, *words)
            assert code == 2, text
            assert "held by another process" in text, text
            assert "end that process" in text, text
        assert "calico_rkt_closed" in tables(host)
        assert host.run("ping", "-c1", "-W1", "10.1.0.1").returncode != 0, "its answer is dropped"
        code, text = command(host, "status", "--no-agent")
        assert (code, "held by another process" in text, "restore puts right" in text) == (1, True, False), text
        assert "held by another process" in add(host, "w2").refused(105)["msg"]
        assert "held by another process" in cni("STATUS", WEB).refused(50)["msg"]
        cni.delete(WEB, "w2", "/var/run/netns/w2")
    until(lambda: "calico_rkt" not in tables(host), "the table ends with its process")
    assert host.run("ping", "-c1", "-W1", "10.1.0.1").returncode != 0, "and stays closed"
    assert command(host, "restore")[0] == 0
    assert tables(host) == ["calico_rkt"]
    assert host.run("ping", "-c1", "-W5", "10.1.0.1").returncode == 0
    assert command(host, "status", "--no-agent")[0] == 0


def test_an_agent_restores_once_the_process_that_held_the_table_has_ended(host: Lab) -> None:
    agent = Agent(host)
    try:
        with held(host):
            agent.start()
            until(lambda: "calico_rkt_closed" in tables(host), "the agent closes beside it")
        until(lambda: now(host) is Standing.WHOLE, "the agent restores")
        assert tables(host) == ["calico_rkt"]
    finally:
        agent.kill()


def test_a_firewall_that_holds_its_own_table_stops_no_command_and_no_agent(host: Lab) -> None:
    agent = Agent(host)
    try:
        with held(host, "firewalld"):
            agent.start()
            code, text = command(host, "status")
            assert (code, "blocked: table inet firewalld is held by another process" in text) == (1, True), text
            add(host, "w2").succeeded()
            Caller(host).delete(WEB, "w2", "/var/run/netns/w2")
            assert command(host, "apply", "--yes")[0] == 0
            assert command(host, "restore")[0] == 0
    finally:
        agent.kill()
