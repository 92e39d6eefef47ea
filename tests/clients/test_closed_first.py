"""After a flush the host is closed before anybody waits or reads a file; whoever finds it closed restores all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from tests.clients.support.agent import LOG, Agent
from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, STATE, Lab, conf, environment, pool, until
from tests.kernel.support.enforce_world import inside
from tests.patience import slowness

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
API = conf("api", pool("10.2.0.0/24"))
POLICY = "/run/calico-rkt/policy.lock"
TOOL = f"{PLUGINS}/calico"


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """One host for all of this file, with an endpoint in each of two networks."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-closed")
    cni = Caller(made)
    cni.add(WEB, "w1", made.netns("w1"))
    cni.add(API, "a1", made.netns("a1"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _whole_afterwards(host: Lab) -> Iterator[None]:
    yield
    host.out(TOOL, "restore")
    assert now(host) is Standing.WHOLE


def now(lab: Lab) -> Standing:
    with inside(f"/proc/{lab.pid}/ns/net"):
        return standing()


def elements(lab: Lab) -> list[str]:
    """The interfaces that may send, by the kernel."""
    done = lab.run("nft", "-j", "list", "set", "inet", "calico_rkt", "endpoints")
    objects = json.loads(done.stdout or b'{"nftables": []}')["nftables"]
    return sorted(e["concat"][0] for o in objects for e in o.get("set", {}).get("elem", []))


def open_for(lab: Lab, act: Callable[[], object]) -> float:
    """Milliseconds from a flush until the host is closed or whole again; act is what was begun before it."""
    with inside(f"/proc/{lab.pid}/ns/net"):
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        begun = time.perf_counter()
        act()
        while standing() in (Standing.NONE, Standing.BROKEN):
            assert time.perf_counter() - begun < 10 * slowness(), "the host stays open"
            time.sleep(0.0005)
    return (time.perf_counter() - begun) * 1e3


@contextlib.contextmanager
def policy_lock_held(lab: Lab) -> Iterator[None]:
    fd = os.open(lab.path(POLICY), os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def state_file_held(lab: Lab) -> Iterator[None]:
    """Somebody else's transaction: who writes waits for it, who reads does not."""
    fd = os.open(lab.path(STATE), os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _end(lab: Lab, started: subprocess.Popen[bytes], by: signal.Signals = signal.SIGKILL) -> None:
    """Signal what nsenter started, then reap it."""
    del lab
    found = started.pid
    while children := Path(f"/proc/{found}/task/{found}/children").read_text().split():
        found = int(children[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(found, by)
    started.kill()
    started.wait()
    if started.stdout is not None:
        started.stdout.close()


@contextlib.contextmanager
def state_file_damaged(lab: Lab) -> Iterator[None]:
    state = lab.path(STATE)
    kept = state.read_bytes()
    state.write_bytes(b"no log" * 100)
    try:
        yield
    finally:
        state.write_bytes(kept)


@contextlib.contextmanager
def run_folder_gone(lab: Lab) -> Iterator[None]:
    folder = lab.path("/run/calico-rkt")
    away = lab.path("/run/away")
    folder.rename(away)
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)
        away.rename(folder)


@contextlib.contextmanager
def run_folder_read_only(lab: Lab) -> Iterator[None]:
    lab.out("mount", "--bind", "/run/calico-rkt", "/run/calico-rkt")
    lab.out("mount", "-o", "remount,ro,bind", "/run/calico-rkt")
    try:
        yield
    finally:
        # Who looks into /proc/*/root from outside holds a mount for a moment; who keeps it for good is an error.
        until(lambda: lab.run("umount", "/run/calico-rkt").returncode == 0, "nothing holds the folder any more")


TROUBLES = pytest.mark.parametrize(
    "trouble",
    [policy_lock_held, state_file_held, state_file_damaged, run_folder_gone],
    ids=lambda t: t.__name__,
)


def begun(
    lab: Lab, *argv: str, conf: dict[str, object] | None = None, name: str = "", verb: str = "ADD"
) -> subprocess.Popen[bytes]:
    """Start a command or, with a conf, a CNI call of container name."""
    env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS}
    env["CNI_NETNS"] = f"/var/run/netns/{name}"
    started = subprocess.Popen(
        lab.command(TOOL, *argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(env if conf else {}),
    )
    assert started.stdin is not None
    started.stdin.write(json.dumps(conf).encode() if conf else b"")
    started.stdin.close()
    return started


def _ended(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@TROUBLES
@pytest.mark.parametrize("who", ["restore", "ADD"])
def test_the_host_is_closed_whatever_keeps_it_from_being_restored(
    host: Lab, trouble: Callable[[Lab], contextlib.AbstractContextManager[None]], who: str
) -> None:
    known = set(elements(host))
    with trouble(host):
        started: list[subprocess.Popen[bytes]] = []
        if who == "ADD":
            host.netns("late")
        act = (
            (lambda: started.append(begun(host, "restore")))
            if who == "restore"
            else (lambda: started.append(begun(host, conf=WEB, name="late")))
        )
        open_for(host, act)
        if trouble is policy_lock_held:
            assert now(host) is Standing.CLOSED
            host.out("nft", "flush", "ruleset")
            until(lambda: now(host) is Standing.CLOSED, "it is closed again while it waits")
        elif trouble is state_file_held and who == "ADD":
            assert now(host) is Standing.CLOSED
        elif trouble is state_file_held:
            until(lambda: now(host) is Standing.WHOLE, "a restore reads all the same")
        else:
            _ended(started)
            assert now(host) in (Standing.CLOSED, Standing.WHOLE)
            assert not known & set(elements(host)), "nobody could know these endpoints; that of an ADD is its own"
    _ended(started)
    if who == "ADD":
        host.out("ip", "netns", "del", "late")
        Caller(host)("DEL", WEB, "late", "")


@TROUBLES
def test_the_agent_closes_at_once_and_restores_as_soon_as_that_can_be(
    host: Lab, trouble: Callable[[Lab], contextlib.AbstractContextManager[None]]
) -> None:
    agent = Agent(host).start()
    try:
        before = elements(host)
        with trouble(host):
            assert open_for(host, lambda: None) < 2000
            for _ in range(2):
                time.sleep(0.1)
                assert trouble is state_file_held or now(host) is Standing.CLOSED
                open_for(host, lambda: None)  # flushed once more while the agent can't restore
            if trouble is state_file_held:
                until(lambda: now(host) is Standing.WHOLE, "it needs only to read")
        until(lambda: now(host) is Standing.WHOLE, f"it restores: {host.path(LOG).read_text()[-2000:]}")
        assert elements(host) == before
    finally:
        agent.kill(signal.SIGTERM)


def test_the_agent_closes_without_a_descriptor_left(host: Lab) -> None:
    agent = Agent(host).start()
    try:
        before = elements(host)
        limit = subprocess.run(
            ["prlimit", "--pid", str(agent.pid), "--nofile=3:4096"], check=False, capture_output=True
        )
        assert limit.returncode == 0, limit.stderr
        assert open_for(host, lambda: None) < 2000
        time.sleep(0.5)
        assert now(host) is Standing.CLOSED
        subprocess.run(["prlimit", "--pid", str(agent.pid), "--nofile=4096:4096"], check=True)
        until(lambda: now(host) is Standing.WHOLE, "it restores")
        assert elements(host) == before
    finally:
        agent.kill(signal.SIGTERM)


@pytest.mark.parametrize("finder", ["ADD", "DEL", "agent", "restore"])
def test_whoever_finds_the_host_closed_by_one_who_died_restores_everything(host: Lab, finder: str) -> None:
    before = elements(host)
    cni = Caller(host)
    with policy_lock_held(host):
        host.out("nft", "flush", "ruleset")
        died = begun(host, "restore")
        until(lambda: now(host) is Standing.CLOSED, "it is closed")
        _end(host, died)
    assert now(host) is Standing.CLOSED
    if finder == "ADD":
        cni.add(API, "a2", host.netns("a2"))
        assert set(elements(host)) > set(before)
        cni.delete(API, "a2", "/var/run/netns/a2")
    elif finder == "DEL":
        cni("DEL", API, "never", "").succeeded()
    elif finder == "agent":
        Agent(host).start().kill(signal.SIGTERM)
    else:
        host.out(TOOL, "restore")
    assert now(host) is Standing.WHOLE
    assert elements(host) == before


def test_a_restore_killed_anywhere_leaves_the_host_closed_or_whole(host: Lab) -> None:
    before = elements(host)
    seen = set()
    for n in range(12):
        host.out("nft", "flush", "ruleset")
        started = begun(host, "restore")
        until(lambda: now(host) is not Standing.NONE, "it is closed")
        time.sleep(n * 0.02)
        _end(host, started)
        seen.add(now(host))
        assert seen <= {Standing.CLOSED, Standing.WHOLE}
        if now(host) is Standing.WHOLE:
            assert elements(host) == before
    assert Standing.CLOSED in seen


def test_closing_beside_restores_adds_and_applies_ends_with_everything_in_force(host: Lab) -> None:
    cni = Caller(host)
    before = elements(host)
    host.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    host.netns("busy")
    started = []
    for n in range(2):
        host.override(
            "web",
            f"network: web\negress:\n  - action: Allow\n    protocol: TCP\n    destination: {{ports: [{n + 1}]}}\n",
        )
        host.out("nft", "flush", "ruleset")
        started = [
            begun(host, "restore"),
            begun(host, "apply", "--yes"),
            begun(host, conf=API, name="busy"),
            begun(host, "restore"),
        ]
        host.out("nft", "flush", "table", "inet", "calico_rkt") if now(host) is not Standing.NONE else None
        _ended(started)
        cni("DEL", API, "busy", "/var/run/netns/busy").succeeded()
        host.out(TOOL, "restore")
        assert elements(host) == before
    host.path("/etc/calico-rkt/profiles/web.yaml").unlink()


def test_an_agent_in_another_network_namespace_builds_no_table_there(host: Lab) -> None:
    agent = Agent(host, before=("ip", "netns", "exec", "w1")).start()
    try:
        time.sleep(7)  # it compares 5 s after its start
        assert host.run("nft", "list", "table", "inet", "calico_rkt", inside="w1").returncode
    finally:
        agent.kill(signal.SIGTERM)


def test_an_apply_on_a_host_that_was_flushed_restores_all_of_it(host: Lab) -> None:
    before = elements(host)
    host.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    host.override("web", "network: web\negress: []\n")
    host.out("nft", "flush", "ruleset")
    assert host.run(TOOL, "apply", "--yes", env=environment()).returncode == 0
    assert now(host) is Standing.WHOLE
    assert elements(host) == before
    host.path("/etc/calico-rkt/profiles/web.yaml").unlink()


def test_a_restore_needs_nothing_that_would_be_written_under_run(host: Lab) -> None:
    """Where /run can't be written to, all that is recorded there is put in force all the same."""
    both = elements(host)
    guards = [r for r in host.out("ip", "route").splitlines() if r.startswith("unreachable")]
    assert len(both) == 2
    assert guards
    with run_folder_read_only(host):
        for route in guards:
            host.out("ip", "route", "del", *route.split())
        host.out("nft", "flush", "ruleset")
        done = host.run(TOOL, "restore")
        assert (done.returncode, done.stdout) == (0, b"restored 2 endpoints\n"), done
        assert now(host) is Standing.WHOLE
        assert elements(host) == both
        assert [r for r in host.out("ip", "route").splitlines() if r.startswith("unreachable")] == guards
        done = host.run(TOOL, "restore", "--if-needed")
        assert (done.returncode, done.stderr) == (0, b""), done


def test_an_agent_restores_while_nothing_can_be_written_under_run(host: Lab) -> None:
    both = elements(host)
    agent = Agent(host).start()
    try:
        with run_folder_read_only(host):
            assert open_for(host, lambda: None) < 2000
            until(lambda: now(host) is Standing.WHOLE, f"it restores: {host.path(LOG).read_text()[-2000:]}")
            assert elements(host) == both
    finally:
        agent.kill(signal.SIGTERM)


def test_an_add_where_nothing_can_be_written_under_run_fails_and_leaves_nothing(host: Lab) -> None:
    both, links = elements(host), host.links()
    netns = host.netns("late")
    with run_folder_read_only(host):
        reply = Caller(host)("ADD", WEB, "late", netns)
        assert "/run/calico-rkt" in reply.refused(5)["msg"]
        assert (elements(host), host.links()) == (both, links)
    host.out("ip", "netns", "del", "late")
