"""The warm agent: whatever happens to it, to its launcher or between them, a call is done once or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.clients.support.agent import LOG, METRICS, SOCKET, Agent, settled
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until, variables

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24", "fd00:1::/64"))
TRY_AGAIN = 11


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    return bare_lab


@pytest.fixture
def agent(lab: Lab) -> Iterator[Agent]:
    made = Agent(lab).start()
    yield made
    if made.is_running():
        assert made.kill(signal.SIGTERM) == 0, lab.path(LOG).read_text()


def begin(lab: Lab, command: str, name: str, binary: str = f"{PLUGINS}/calico") -> subprocess.Popen[bytes]:
    """Start a call and give its conf to it; the process is nsenter, the launcher is its child."""
    env = variables(command, name)
    started = subprocess.Popen(
        lab.command(binary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(env),
    )
    assert started.stdin is not None
    started.stdin.write(json.dumps(WEB).encode())
    started.stdin.close()
    started.stdin = None
    return started


def log(lab: Lab) -> str:
    return lab.path(LOG).read_text()


def test_a_call_is_done_by_the_agent_and_answered_as_alone(lab: Lab, cni: Caller) -> None:
    alone = cni.add(WEB, "c1", lab.netns("c1"))
    agent = Agent(lab).start()
    warm = cni.add(WEB, "c2", lab.netns("c2"))
    assert agent.counted("requests_total") == 1
    assert agent.counted("declined_total") == 0
    assert {key: type(value) for key, value in warm.items()} == {key: type(value) for key, value in alone.items()}
    assert cni.add(WEB, "c1", "/var/run/netns/c1") == alone, "what one has attached, the other knows"
    for name in ("c1", "c2"):
        cni.delete(WEB, name, f"/var/run/netns/{name}")
    assert agent.counted("requests_total") == 4
    assert lab.left() == {}


def test_a_refused_call_says_the_same_in_both_ways(lab: Lab, cni: Caller) -> None:
    calls = (
        ("ADD", b"{", {}),
        ("ADD", WEB, {"CNI_IFNAME": "a/b"}),
        ("ADD", WEB, {"CNI_NETNS": "/var/run/netns/missing"}),
        ("ADD", WEB, {"CNI_NETNS": "/proc/self/ns/net"}),
        ("ADD", {**WEB, "cniVersion": "9.9"}, {}),
        ("ADD", b" " * ((1 << 20) + 1), {}),
        ("NONSENSE", WEB, {}),
        ("CHECK", WEB, {"CNI_NETNS": "/var/run/netns/c1"}),
        ("GC", {**WEB, "cniVersion": "1.1.0", "cni.dev/valid-attachments": "all"}, {}),
    )
    lab.netns("c1")
    alone = [cni(command, given, **extra).refused() for command, given, extra in calls]
    agent = Agent(lab).start()
    assert [cni(command, given, **extra).refused() for command, given, extra in calls] == alone
    assert agent.counted("requests_total") == len(calls) - 1, "all but the one that is too large to be sent on"
    assert lab.left() == {}


def test_warnings_reach_whoever_asked(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    late = cni("DEL", WEB, "c1", lab.netns("other")).succeeded()
    assert b"of an older netns" in late.stderr
    assert late.stdout == b""
    assert agent.counted("requests_total") == 2


@pytest.mark.parametrize("way", ["network", "mount"])
def test_a_call_from_another_namespace_is_done_there_and_not_by_the_agent(lab: Lab, agent: Agent, way: str) -> None:
    """The agent would attach to the wrong host; the answer has to be that of a process of its own."""
    netns = lab.netns("c1")
    enter = {
        "network": ("ip", "netns", "exec", "outside"),
        "mount": ("unshare", "-m", "--propagation", "unchanged"),
    }[way]
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": netns, "CNI_IFNAME": "eth0"}
    done = lab.run(*enter, f"{PLUGINS}/calico", stdin=json.dumps(WEB).encode(), env=environment(env))
    assert done.returncode == 0, done
    (name,) = [i["name"] for i in json.loads(done.stdout)["interfaces"] if "sandbox" not in i]
    assert (name in lab.links()) == (way == "mount")
    assert (name in lab.links(inside="outside")) == (way == "network")
    assert agent.counted("declined_total") == 1
    assert agent.counted("requests_total") == 0


def test_delegated_addresses_and_other_folders_are_not_for_the_agent(lab: Lab, cni: Caller, agent: Agent) -> None:
    delegated = conf("there", {"type": "static", "addresses": [{"address": "10.7.0.9/24"}]})
    assert addresses(cni.add(delegated, "c1", lab.netns("c1"))) == ["10.7.0.9"]
    elsewhere = cni("ADD", WEB, "c2", lab.netns("c2"), CALICO_RKT_LIB_DIR="/run/lab/lib").succeeded()
    assert addresses(elsewhere.json)
    assert lab.path("/run/lab/lib/profiles").is_dir()
    assert agent.counted("requests_total") == 0
    assert agent.counted("declined_total") == 2


def test_a_launcher_of_another_build_does_its_call_itself(lab: Lab, agent: Agent) -> None:
    whole = lab.path(PLUGINS, "calico").read_bytes()
    build = whole.rpartition(b'calico_rkt.BUILD = "')[2][:32]
    assert whole.count(build) == 3, "in the launcher, and in what Python runs and compiled"
    lab.write("/opt/other", whole.replace(build, b"0" * 32, 1))
    lab.path("/opt/other").chmod(0o755)
    lab.netns("c1")
    out, _ = begin(lab, "ADD", "c1", "/opt/other").communicate(timeout=60)
    assert json.loads(out)["ips"]
    assert (agent.counted("requests_total"), agent.counted("declined_total")) == (0, 1)


def test_a_stopped_agent_is_not_waited_for_and_does_nothing_later(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    time.sleep(1)  # it must not be stopped with a lock in its hands: who is, is waited for
    agent.signal(signal.SIGSTOP)
    first = cni.add(WEB, "c1", lab.netns("c1"))
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    agent.signal(signal.SIGCONT)
    second = cni.add(WEB, "c2", lab.netns("c2"))
    assert addresses(first)
    assert addresses(second)
    assert agent.counted("requests_total") == 2, "the two calls in between were not its own any more"
    for name in ("warm", "c2"):
        cni.delete(WEB, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


def test_an_agent_killed_with_an_add_leaves_nothing_and_the_answer_is_try_again(lab: Lab, cni: Caller) -> None:
    """rkt runs no DEL after a failed ADD, so the launcher has to take back what the agent had begun."""
    agent = Agent(lab).start()
    cni.add(WEB, "warm", lab.netns("warm"))
    begun = time.monotonic()
    cni.delete(WEB, "warm", "/var/run/netns/warm")
    whole = time.monotonic() - begun
    answers: list[int] = []
    for step in range(200):
        if step >= 24 and set(answers) == {0, TRY_AGAIN}:
            break
        name = f"k{step}"
        lab.netns(name)
        call = begin(lab, "ADD", name)
        time.sleep(1.5 * whole * (0.618 * step % 1))  # early and late in turn, and never the same moment twice
        agent.kill()
        out, err = call.communicate(timeout=60)
        assert b"Traceback" not in out + err
        answers.append(json.loads(out).get("code", 0))
        assert answers[-1] in (0, TRY_AGAIN), out
        assert (call.returncode == 0) == (answers[-1] == 0)
        if not answers[-1]:
            cni.delete(WEB, name, f"/var/run/netns/{name}")
        assert lab.left() == {}, f"killed at step {step}"
        agent.restart()
    assert set(answers) == {0, TRY_AGAIN}, "or the steps met nothing"


def test_a_del_whose_agent_is_killed_is_finished_all_the_same(lab: Lab, cni: Caller) -> None:
    """rkt never repeats a DEL."""
    agent = Agent(lab).start()
    for step in range(12):
        name = f"k{step}"
        cni.add(WEB, name, lab.netns(name))
        call = begin(lab, "DEL", name)
        time.sleep(0.002 * step)
        agent.kill()
        out, err = call.communicate(timeout=60)
        assert (call.returncode, out) == (0, b""), err
        assert lab.left() == {}, f"killed at step {step}"
        agent.restart()


@pytest.mark.usefixtures("agent")
def test_an_add_whose_launcher_is_killed_is_taken_back(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    cni.delete(WEB, "warm", "/var/run/netns/warm")
    for step in range(24):
        name = f"k{step}"
        lab.netns(name)
        call = begin(lab, "ADD", name)
        time.sleep(0.002 + 0.0005 * step)
        launcher = Path(f"/proc/{call.pid}/task/{call.pid}/children").read_text().split()
        if launcher and call.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(launcher[0]), signal.SIGKILL)
        out, _ = call.communicate(timeout=60)
        if out:
            cni.delete(WEB, name, f"/var/run/netns/{name}")
        assert settled(lab) == {}, f"killed at step {step}: {log(lab)[-2000:]}"


def test_an_add_that_nobody_can_be_told_of_is_taken_back(lab: Lab, agent: Agent) -> None:
    lab.netns("c1")
    script = f"exec {PLUGINS}/calico >/dev/full"
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/var/run/netns/c1", "CNI_IFNAME": "eth0"}
    done = lab.run("sh", "-c", script, stdin=json.dumps(WEB).encode(), env=environment(env))
    assert done.returncode == 1
    assert lab.left() == {}, "it waits until all is taken back"
    assert agent.counted("requests_total") == 1


def test_a_flush_of_the_ruleset_is_mended_without_any_call(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    before = lab.left()["elements"]
    for command in (
        ("flush", "ruleset"),
        ("delete", "table", "inet", "calico_rkt"),
        ("flush", "table", "inet", "calico_rkt"),
    ):
        restores = agent.counted("restores_total")
        lab.out("nft", *command)
        until(lambda restores=restores: agent.counted("restores_total") > restores, f"it notices {command}")
        assert lab.left()["elements"] == before


def test_sigterm_lets_calls_end_and_the_socket_goes(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    names = [f"c{n}" for n in range(8)]
    for name in names:
        lab.netns(name)
    calls = [begin(lab, "ADD", name) for name in names]
    time.sleep(0.01)
    assert agent.kill(signal.SIGTERM) == 0
    assert not lab.path(SOCKET).exists()
    for call in calls:
        out, err = call.communicate(timeout=60)
        assert call.returncode == 0, (out, err)
        assert json.loads(out)["ips"]
    for name in ("warm", *names):
        cni.delete(WEB, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


def test_sighup_reloads_and_mends(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    agent.signal(signal.SIGHUP)
    until(lambda: "reloaded" in log(lab), "it says so")
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert agent.counted("requests_total") == 2


def test_a_replaced_binary_ends_the_agent_and_no_call_is_lost(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    fresh = lab.path(PLUGINS, "calico.next")
    fresh.write_bytes(lab.path(PLUGINS, "calico").read_bytes())
    fresh.chmod(0o755)
    fresh.replace(lab.path(PLUGINS, "calico"))
    cni.add(WEB, "c2", lab.netns("c2"))
    assert agent.ended() == 0
    for name in ("c1", "c2"):
        cni.delete(WEB, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


def test_a_second_agent_is_refused_and_one_after_a_killed_one_is_not(lab: Lab, cni: Caller, agent: Agent) -> None:
    second = lab.run(f"{PLUGINS}/calico", "agent", env=environment())
    assert second.returncode == 2
    assert b"another agent serves" in second.stderr
    agent.kill()
    assert lab.path(SOCKET).exists()
    assert addresses(cni.add(WEB, "c1", lab.netns("c1"))), "a socket that nobody listens at is no agent"
    agent.restart()
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert agent.counted("requests_total") == 1


def test_an_agent_is_started_by_whoever_holds_its_socket(lab: Lab, cni: Caller) -> None:
    """Socket activation, by the program that systemd has for trying it."""
    lab.path("/run/calico-rkt").mkdir(mode=0o700)
    lab.start("systemd-socket-activate", "-l", SOCKET, f"{PLUGINS}/calico", "agent", env=environment())
    until(lambda: lab.path(SOCKET).exists(), "the socket is there")
    cni.add(WEB, "c1", lab.netns("c1"))
    until(lambda: lab.path(METRICS).exists() and "the agent serves" in log(lab), "the agent runs")
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert Agent(lab).counted("requests_total") >= 1
    assert lab.left() == {}


def test_nobody_but_root_reaches_it(lab: Lab, agent: Agent) -> None:
    ask = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    for path in (SOCKET, METRICS):
        mode = lab.path(path).stat().st_mode & 0o777
        assert mode == 0o600
        done = lab.run("setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-IS", "-c", ask, path)
        assert b"PermissionError" in done.stderr
    assert agent.counted("requests_total") == 0


_GARBAGE = """
import os, random, socket, struct, sys
seed = random.Random(7)
head = struct.Struct("=8s32s16s6Q4I")
for n in range(300):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    kind = n % 5
    if kind == 0:
        data = seed.randbytes(seed.randrange(400))
    elif kind == 1:
        data = head.pack(b"crkcall1", b"x" * 32, b"n" * 16, *[seed.getrandbits(60)] * 6, 0, 1 << 31, 1 << 31, 0)
    elif kind == 2:
        data = head.pack(b"crkcall1", sys.argv[2].encode(), b"n" * 16, *[1] * 6, 2, 10, 10, 0) + b"A" * 20
    elif kind == 3:
        data = head.pack(b"crkcall1", sys.argv[2].encode(), b"n" * 16, *[1] * 6, 0, 10, 10, 0)[: seed.randrange(136)]
    else:
        data = b""
    try:
        s.sendall(data)
        if kind == 3:
            s.shutdown(socket.SHUT_WR)
            s.recv(10)
    except OSError:
        pass
    s.close()
"""


def test_garbage_on_the_socket_harms_nobody(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    _, others = agent.descriptors()
    build = lab.path(PLUGINS, "calico").read_bytes().rpartition(b'calico_rkt.BUILD = "')[2][:32].decode()
    lab.out("/usr/bin/python3", "-IS", "-c", _GARBAGE, SOCKET, build)
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert agent.counted("requests_total") == 2
    until(lambda: agent.descriptors()[1] <= others + 1, "of 300 connections none is kept")
    assert "Traceback" not in log(lab)


def test_many_at_once_are_each_done_once(lab: Lab, cni: Caller, agent: Agent) -> None:
    names = [f"c{n}" for n in range(64)]
    netns = {name: lab.netns(name) for name in names}
    with ThreadPoolExecutor(32) as together:
        found = list(together.map(lambda name: addresses(cni.add(WEB, name, netns[name])), names))
        assert len({a for pair in found for a in pair}) == 2 * len(names)
        list(together.map(lambda name: cni.delete(WEB, name, netns[name]), names))
    assert lab.left() == {}
    assert agent.counted("requests_total") + agent.counted("declined_total") <= 2 * len(names)


def test_metrics_are_what_prometheus_reads(lab: Lab, cni: Caller, agent: Agent) -> None:
    lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    lab.override("web", "network: web\ningress: []\n")
    cni.add(WEB, "c1", lab.netns("c1"))
    cni("CHECK", WEB, "missing", "/var/run/netns/c1").refused()
    lab.override("web", "network: web\negress: []\n")
    families = {f.name: f for f in text_string_to_metric_families(agent.page())}

    def value(name: str, **labels: str) -> float:
        (sample,) = [
            s for s in families[name].samples if labels.items() <= s.labels.items() and not s.name.endswith("_bucket")
        ]
        return sample.value

    assert value("calico_rkt_requests", verb="ADD", code="0") == 1
    assert value("calico_rkt_requests", verb="CHECK", code="3") == 1
    assert value("calico_rkt_endpoints", network="web") == 1
    assert value("calico_rkt_pool_addresses_used", network="web") == 2
    assert value("calico_rkt_profiles", state="stale") == 1
    assert value("calico_rkt_journal_length") == 0
    times = families["calico_rkt_request_seconds"].samples
    assert {"address", "link", "policy", "up"} <= {s.labels["phase"] for s in times if s.labels["verb"] == "ADD"}
    counts = [
        s.value for s in times if s.name.endswith("_bucket") and (s.labels["verb"], s.labels["phase"]) == ("ADD", "all")
    ]
    assert counts == sorted(counts)
    assert counts[-1] == 1


def test_metrics_are_offered_on_loopback_when_asked_and_nowhere_else(lab: Lab) -> None:
    Agent(lab, "--metrics", "127.0.0.1:9099").start()
    asked = (
        "import socket, sys; s = socket.create_connection((sys.argv[1], 9099));"
        "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(40))"
    )
    assert "200 OK" in lab.out("/usr/bin/python3", "-IS", "-c", asked, "127.0.0.1")
    assert b"refused" in lab.run("/usr/bin/python3", "-IS", "-c", asked, "192.0.2.1").stderr
    for wrong in ("0.0.0.0:9099", "here", "127.0.0.1:0", "/no/such/folder/metrics.sock"):
        done = lab.run(
            f"{PLUGINS}/calico", "agent", "--metrics", wrong, env=environment({"CALICO_RKT_RUN_DIR": "/run/two"})
        )
        assert done.returncode == 2, wrong
        assert b"Traceback" not in done.stderr
        assert not lab.path("/run/two/agent.sock").exists(), "nobody listens there"


def test_trace_says_where_the_time_went(lab: Lab, agent: Agent) -> None:
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": lab.netns("c1"), "CNI_IFNAME": "eth0"}
    done = lab.run(f"{PLUGINS}/calico", "--trace", stdin=json.dumps(WEB).encode(), env=environment(env))
    assert json.loads(done.stdout)["ips"]
    for step in (b"taken by the agent", b"address", b"link", b"policy", b"in all", b"answered"):
        assert step in done.stderr, done.stderr
    agent.kill(signal.SIGTERM)
    alone = lab.run(
        f"{PLUGINS}/calico", "--trace", stdin=json.dumps(WEB).encode(), env=environment({**env, "CNI_COMMAND": "DEL"})
    )
    assert alone.returncode == 0
    assert b"no agent" in alone.stderr
    assert b"in all" in alone.stderr


def test_status_sums_up_what_the_agent_did(lab: Lab, cni: Caller, agent: Agent) -> None:
    cni.add(WEB, "c1", lab.netns("c1"))
    said = lab.run(f"{PLUGINS}/calico", "status", env=environment()).stdout.decode()
    assert "agent: 1 call" in said, said
    agent.kill(signal.SIGTERM)
    assert "agent: none" in lab.run(f"{PLUGINS}/calico", "status", env=environment()).stdout.decode()
