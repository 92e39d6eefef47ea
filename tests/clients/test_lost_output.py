"""Each command with a stdout that takes nothing: no status says that all is well, and words say why."""

from __future__ import annotations

import json
import signal

import pytest

from calico_rkt.plugin.commands.tree import COMMANDS
from tests.clients.support.attaching import CALICO, FOLDER, calico, network
from tests.clients.support.lab import Lab, conf, environment, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

TAKES_NOTHING = {">&-": 2, ">/dev/full": 2, "1</dev/null": 2, "| true": 141}
"""What a shell makes of stdout, and the status: said in the place of the command's own."""
SAYS = {
    "compile": f"compile {FOLDER}/10-web.conflist",
    "check": "check",
    "test": "test",
    "diff": f"diff /run/lab/before {FOLDER}",
    "explain": "explain web outside",
    "matrix": "matrix",
    "report": "report -o -",
    "rule": "rule CR301",
    "schema": "schema",
    "apply": "apply --yes",
    "status": "status",
    "attest": "attest",
    "prune": "prune --dry-run",
    "export": "export",
    "import": "import /run/lab/all.yaml --dry-run",
    "attach": "attach web c1",
    "detach": "detach back c1 --ifname eth1",
    "netavark": "netavark info",
    "init": "init --help",
    "network": "network add shop 10.3.0.0/24 --for rkt --dry-run",
    "ls": "ls",
    "logs": "logs",
    "trace": "trace web outside --for 0.1",
    "doctor": "doctor",
    "restore": "restore",
    "install": "install --root /run/lab/image --dry-run",
    "uninstall": "uninstall --root /run/lab/image --dry-run",
    "downgrade": "downgrade",
}
"""Of each command a line that prints something on stdout."""
AGAIN = {"detach": "attach back c1 --ifname eth1"}
"""What has to be done first, each time."""
OWN = {"netavark": 1}
"""Whose errors have another status."""


def test_each_command_has_its_line_here() -> None:
    assert SAYS.keys() == COMMANDS.keys() - {"gc", "agent"}, "those two say something of what there is only"


def test_what_was_lost_is_told_by_each_command(bare_lab: Lab) -> None:
    for name, subnet in (("web", "10.1.0.0/24"), ("back", "10.2.0.0/24"), ("idle", "10.4.0.0/24")):
        network(bare_lab, conf(name, pool(subnet)))
    bare_lab.write("/run/lab/before/web.conf", json.dumps(conf("web", pool("10.1.0.0/24"))))
    bare_lab.netns("c1")
    calico(bare_lab, "attach", "web", "c1")
    calico(bare_lab, "attach", "back", "c1", "--ifname", "eth1")
    calico(bare_lab, "apply", "--yes")
    calico(bare_lab, "export", "-o", "/run/lab/all.yaml")
    bare_lab.write("/run/lab/image/etc/hostname", "image\n")
    calico(bare_lab, "install", "--root", "/run/lab/image", "--yes")
    wrong = []
    for name, words in SAYS.items():
        for stdout, wanted in TAKES_NOTHING.items():
            if first := AGAIN.get(name):
                calico(bare_lab, *first.split())
            shell = f"{CALICO} {words} {stdout}; exit ${{PIPESTATUS[0]}}"
            done = bare_lab.run("bash", "-c", shell, env=environment())
            words_fit = b"Traceback" not in done.stderr and bool(done.stderr) is (wanted != 141 or name in OWN)
            if done.returncode != OWN.get(name, wanted) or not words_fit:
                wrong.append((words, stdout, done.returncode, done.stderr.decode()))
    assert wrong == []


@pytest.mark.parametrize("command", ["logs --follow", "trace web outside --for 3600", f"check -C {FOLDER} --watch"])
def test_who_goes_on_for_long_ends_when_its_reader_does(bare_lab: Lab, command: str) -> None:
    network(bare_lab, conf("web", pool("10.1.0.0/24")))
    bare_lab.netns("c1")
    calico(bare_lab, "attach", "web", "c1")
    done = bare_lab.run("bash", "-c", f"{CALICO} {command} | true; exit ${{PIPESTATUS[0]}}", env=environment())
    assert done.returncode == 141
    assert b"can't" not in done.stderr
    done = bare_lab.run("bash", "-c", f"{CALICO} {command} | head -1; exit ${{PIPESTATUS[0]}}", env=environment())
    assert done.returncode == 141
    assert len(done.stdout.splitlines()) == 1
    assert "calico_rkt_trace" not in bare_lab.out("nft", "list", "tables")


INTERRUPTED = """
import signal, subprocess, sys, time
for moment in range(0, 200, 4):
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL) as command:
        time.sleep(moment / 1000)
        command.send_signal(signal.SIGINT)
    print(command.returncode)
"""
"""Ctrl-C for a command, which is there already, at 50 moments of its begin; the statuses, as Python says them."""


@pytest.mark.parametrize("command", [f"check -C {FOLDER}", "status", f"check -C {FOLDER} --watch"])
def test_ctrl_c_leaves_no_words_whenever_it_comes(bare_lab: Lab, command: str) -> None:
    network(bare_lab, conf("web", pool("10.1.0.0/24")))
    argv = ("/usr/bin/python3", "-c", INTERRUPTED, CALICO, *command.split())
    done = bare_lab.run(*argv, env=environment())
    assert b"KeyboardInterrupt" not in done.stderr, done.stderr.decode()
    ended = {-signal.SIGINT, 130}
    assert set(map(int, done.stdout.split())) <= (ended if "--watch" in command else {*ended, 0})


@pytest.mark.parametrize("command", ["status", "apply --yes", "compile -", "import - --yes"])
def test_a_folder_for_stdin_is_no_finding(bare_lab: Lab, command: str) -> None:
    network(bare_lab, conf("web", pool("10.1.0.0/24")))
    done = bare_lab.run("sh", "-c", f"{CALICO} {command} </run", env=environment())
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"calico: stdin can not be read: Is a directory\n"


BACKGROUND = """
import os, pty, signal, sys, time
session, terminal = pty.fork()
if session:
    said = b""
    try:
        while more := os.read(terminal, 4096):
            said += more
    except OSError:
        pass
    sys.stdout.buffer.write(said)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(session, 0)[1]))
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(job, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.kill(job, signal.SIGKILL)
    print("stopped by", signal.Signals(os.WSTOPSIG(status)).name, flush=True)
    os._exit(1)
os._exit(os.waitstatus_to_exitcode(status))
"""
"""A shell at a terminal that starts a command with `&`; its status, and what it said."""


@pytest.mark.parametrize("command", ["check", "status", "logs"])
def test_a_command_in_the_background_of_a_terminal_goes_on(bare_lab: Lab, command: str) -> None:
    """Whoever reads of a terminal there is stopped (SIGTTIN): even who reads no byte."""
    network(bare_lab, conf("web", pool("10.1.0.0/24")))
    bare_lab.netns("c1")
    calico(bare_lab, "attach", "web", "c1")
    done = bare_lab.run("/usr/bin/python3", "-c", BACKGROUND, CALICO, command, env=environment())
    assert (done.returncode, b"stopped" in done.stdout) == (0, False), done.stdout.decode()
