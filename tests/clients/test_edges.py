"""Claims about what a call finds at its start and meets at its end: streams, signals, limits, another build."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support.agent import Agent, settled
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until, variables

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
_DRIVER = Path(__file__).parent / "support" / "programs" / "start_oddly.py"
_names = (f"e{n}" for n in itertools.count())


@pytest.fixture(scope="module", params=["alone", "agent"])
def lab(binary: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One host for all: each test leaves it as it was."""
    made = Lab(binary, f"calico-rkt-edges-{os.getpid()}-{request.param}")
    try:
        if request.param == "agent":
            Agent(made).start()
        yield made
    finally:
        made.close()


def call(lab: Lab, command: str = "ADD", name: str = "", **how: Any) -> dict[str, Any]:
    """A call for edges.py, of a container with a namespace of its own."""
    name = name or next(_names)
    if not lab.path("/run/netns", name).exists():
        lab.netns(name)
    env = variables(command, name)
    return {
        "argv": [how.pop("plugin", f"{PLUGINS}/calico"), *how.pop("arguments", ())],
        "env": environment(env | how.pop("env", {})),
        "conf": how.pop("conf", WEB),
        **how,
    }


def run(lab: Lab, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    done = lab.run("/usr/bin/python3", "-IS", "-c", _DRIVER.read_text(), stdin=json.dumps(calls).encode())
    assert done.returncode == 0, done.stderr.decode()
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    for answer in answers:
        assert "Traceback" not in answer["out"] + answer["err"], answer
        if answer["out"]:
            json.loads(answer["out"])  # exactly one object, whatever happened
    return answers


def deleted(lab: Lab, *calls: dict[str, Any]) -> None:
    """The same containers' DEL, and nothing left of them."""
    ends = [c | {"env": c["env"] | {"CNI_COMMAND": "DEL"}} for c in calls]
    ends = [{k: e[k] for k in ("argv", "env", "conf")} | {"argv": [f"{PLUGINS}/calico"]} for e in ends]
    assert [a["status"] for a in run(lab, *ends)] == [0] * len(ends)
    assert settled(lab) == {}


@pytest.mark.parametrize("arguments", [(), ("--trace",)])
@pytest.mark.parametrize("how", [{"closed": [2]}, {"full": [2]}, {"broken": [2]}])
def test_an_add_whose_stderr_nobody_reads_attaches_and_answers_once(
    lab: Lab, how: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    noisy = {**WEB, "unknown": 1, "log_level": "debug"}
    add = call(lab, **how, conf=noisy, arguments=arguments, env={"CALICO_RKT_LOG": "/proc/no/such/folder"})
    quiet = call(lab, **how, conf=noisy, arguments=arguments)
    for answer in run(lab, add, quiet):
        assert answer["status"] == 0, answer
        assert json.loads(answer["out"])["ips"]
    assert len([link for link in lab.links() if link.startswith("crk")]) == 2
    deleted(lab, add, quiet)


@pytest.mark.parametrize("how", [{"closed": [1]}, {"broken": [1]}, {"closed": [1, 2]}, {"closed": [0, 1, 2]}])
def test_an_add_that_can_not_answer_fails_and_leaves_nothing(lab: Lab, how: dict[str, Any]) -> None:
    (answer,) = run(lab, call(lab, **how))
    assert answer["status"] not in (0, -13), answer
    assert settled(lab) == {}


def test_an_add_without_stdin_is_refused(lab: Lab) -> None:
    for closed in ([0], [0, 2]):
        (answer,) = run(lab, call(lab, closed=closed))
        assert (answer["status"], json.loads(answer["out"])["code"] > 0) == (1, True), answer
    assert settled(lab) == {}


def test_a_full_stdout_is_waited_for_and_the_add_taken_back(lab: Lab) -> None:
    (answer,) = run(lab, call(lab, full=[1]))
    assert answer["status"] == 1
    assert settled(lab) == {}


def test_what_a_parent_ignores_or_blocks_changes_no_call(lab: Lab) -> None:
    signals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGXFSZ"]
    adds = [call(lab, ignored=signals), call(lab, blocked=signals), call(lab, slowly=3)]
    assert [a["status"] for a in run(lab, *adds)] == [0, 0, 0]
    deleted(lab, *adds)


def test_a_delegate_s_failure_is_seen_though_our_parent_ignores_its_children(lab: Lab) -> None:
    lab.write(f"{PLUGINS}/fails", "#!/bin/sh\nexit 7\n")
    lab.path(PLUGINS, "fails").chmod(0o755)
    (answer,) = run(lab, call(lab, conf=conf("other", {"type": "fails"}), ignored=["SIGCHLD"]))
    assert "exit status 7" in json.loads(answer["out"])["msg"], answer


@pytest.mark.parametrize("limit", ["RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC"])
@pytest.mark.parametrize("value", [0, 3, 5, 12, 1 << 12])
def test_under_a_limit_a_call_is_done_or_refused_and_leaves_nothing(lab: Lab, limit: str, value: int) -> None:
    add = call(lab, limits={limit: value})
    (answer,) = run(lab, add)
    if answer["status"] == 0:
        deleted(lab, add)
    assert settled(lab) == {}


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", "tr_TR.UTF-8", "\udcff"])
def test_the_locale_and_bytes_that_are_no_text_change_no_answer(lab: Lab, locale: str) -> None:
    add = call(lab, conf={**WEB, "wéb": "é"}, env={"LC_ALL": locale, "LANG": locale, "HOME": "/\udcff"})
    (answer,) = run(lab, add)
    assert answer["status"] == 0, answer
    deleted(lab, add)


def test_a_namespace_s_path_that_is_no_text_is_refused(lab: Lab) -> None:
    name = next(_names)
    lab.netns(name)
    lab.out("sh", "-c", rf"ln -s /run/netns/{name} /run/netns/$(printf 'n\377')")
    add = call(lab, name=name, env={"CNI_NETNS": "/run/netns/n\udcff"})
    (answer,) = run(lab, add)
    assert json.loads(answer["out"])["code"] == 4, answer
    deleted(lab, add)


def test_whoever_owns_a_folder_in_path_chooses_nothing_that_runs(lab: Lab) -> None:
    """Neither the program nor the library that Python finds by its first word."""
    lab.path("/run/evil/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/true", lab.path("/run/evil/bin/python3"))
    lab.write("/run/evil/lib/python3.11/os.py", "raise SystemExit('another library')\n")
    lab.write("/run/evil/lib/python3.11/lib-dynload/x", "")
    lab.write("/run/evil/bin/nothing.py", "")
    path = "/run/evil/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    more = {"PATH": path, "PYTHONHOME": "/run/evil", "PYTHONPATH": "/run/evil/bin", "PYTHONSTARTUP": "/run/evil/x"}
    add = call(lab, env={**more, "CALICO_RKT_LOG": "/run/evil.log"})
    (answer,) = run(lab, add)
    assert answer["status"] == 0, answer
    assert lab.run(f"{PLUGINS}/calico", "--version", env={"PATH": path}).stdout.startswith(b"calico-rkt ")
    deleted(lab, add)


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_a_plugin_that_is_replaced_while_a_call_waits_finishes_it(lab: Lab, command: str) -> None:
    """The next build stands there while the call still waits for its conf."""
    other = lab.path("/opt/other")
    other.mkdir(exist_ok=True)
    plugin = "/opt/other/calico"
    shutil.copy(lab.path(PLUGINS, "calico"), lab.path(plugin))
    # Another folder of state is nothing for the agent: Python has to be started on the file that is gone.
    env = {"CALICO_RKT_RUN_DIR": "/run/elsewhere"}
    add = call(lab, plugin=plugin, env=env)
    if command == "DEL":
        assert run(lab, add)[0]["status"] == 0
    begun = add | {"env": add["env"] | {"CNI_COMMAND": command}, "slowly": 1}
    script = f"sleep 0.5; printf junk >{plugin}.next; chmod 755 {plugin}.next; mv {plugin}.next {plugin}"
    lab.start("sh", "-c", script)
    (answer,) = run(lab, begun)
    assert lab.path(plugin).read_bytes() == b"junk"
    assert answer["status"] == 0, answer
    shutil.copy(lab.path(PLUGINS, "calico"), lab.path(plugin))
    ends = add | {"env": add["env"] | {"CNI_COMMAND": "DEL"}}
    assert run(lab, ends)[0]["status"] == 0
    assert settled(lab) == {}


_HOLDER = """
import fcntl, os, sys, time
os.makedirs(os.path.dirname(sys.argv[1]), 0o700, exist_ok=True)
held = open(sys.argv[1], "a")
fcntl.flock(held, fcntl.LOCK_EX)
open("/run/held", "w").close()
while os.path.exists("/run/held"):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_a_call_that_waits_for_a_lock_ends_when_it_is_asked_to(lab: Lab, command: str) -> None:
    """Nothing of it is there afterwards that the next DEL does not take back."""
    add = call(lab)
    if command == "DEL":
        assert run(lab, add)[0]["status"] == 0
    lab.start("/usr/bin/python3", "-IS", "-c", _HOLDER, "/run/calico-rkt/policy.lock")
    until(lambda: lab.path("/run/held").exists(), "somebody holds the policy lock")
    begun = time.monotonic()
    (answer,) = run(lab, add | {"env": add["env"] | {"CNI_COMMAND": command}, "after": 1.5, "by": "SIGTERM"})
    assert time.monotonic() - begun < 40
    assert answer["status"] == -15 or json.loads(answer["out"])["code"] == 11, answer
    lab.path("/run/held").unlink()
    deleted(lab, add)


def _ended_at_random(lab: Lab, rounds: int) -> None:
    """What the caller is told holds: an ADD that ended well is there, one that did not is not."""
    pick = random.Random(rounds)
    names = [next(_names) for _ in range(8)]
    warm = call(lab)
    begun = time.monotonic()
    assert run(lab, warm)[0]["status"] == 0
    longest = max(0.4, 4 * (time.monotonic() - begun))  # eight at once, on a busy machine, too
    told = {"answered": 0, "ended": 0}
    for _ in range(rounds // len(names)):
        by = [pick.choice(["SIGTERM", "SIGINT", "SIGHUP"]) for _ in names]
        adds = [
            call(lab, name=name, after=pick.uniform(0, pick.choice([0.03, longest])), by=b)
            for name, b in zip(names, by, strict=True)
        ]
        answers = run(lab, *adds)
        held = {name for name, answer in zip(names, answers, strict=True) if answer["status"] == 0}
        for answer in answers:
            assert (answer["status"] == 0) == ('"ips"' in answer["out"]) or answer["status"] < 0, answer
        told["answered"] += len(held)
        told["ended"] += len(names) - len(held)
        keep = [c for c, answer in zip(adds, answers, strict=True) if answer["status"] == 0]
        checks = [c | {"env": c["env"] | {"CNI_COMMAND": "CHECK"}} for c in keep]
        prev = [{**WEB, "prevResult": json.loads(a["out"])} for a in answers if a["status"] == 0]
        for check, with_result in zip(checks, prev, strict=True):
            check |= {"conf": with_result}
            check.pop("after"), check.pop("by")
        assert all(a["status"] == 0 for a in run(lab, *checks))
        ends = [{k: c[k] for k in ("argv", "conf")} | {"env": c["env"] | {"CNI_COMMAND": "DEL"}} for c in keep]
        run(lab, *ends)
        links = {link for link in lab.links() if link.startswith("crk")}
        for _ in range(100):
            if len(links) == 1:
                break
            links = {link for link in lab.links() if link.startswith("crk")}
        assert len(links) == 1, "one that was not answered is attached"
    assert told["answered"], told
    assert told["ended"], told
    deleted(lab, warm)


def test_what_a_caller_is_told_holds_whenever_the_call_is_asked_to_end(lab: Lab) -> None:
    _ended_at_random(lab, 24)


@pytest.mark.slow
def test_what_a_caller_is_told_holds_at_hundreds_of_moments(lab: Lab) -> None:
    _ended_at_random(lab, 240)
