"""How a run of tests ends: real runs of pytest on tests that fail, under what a background job or nohup does to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
IN_THE_BACKGROUND = "trap '' INT QUIT"
NOHUP = "trap '' HUP"


def run(folder: Path, test: str, *options: str, how: str = "true") -> tuple[int, str]:
    """Exit status and output of a run of one file, started by a shell that has first done `how`."""
    (folder / "test_one.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", *options]
    command += [f"--basetemp={folder / 'base'}"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        ["sh", "-c", f'{how}; exec "$@"', "sh", *command, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""


ENDS_ON_A_SIGNAL = """
import signal, subprocess, pytest
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_it(which):
    started = subprocess.Popen(["sleep", "60"])
    started.send_signal(which)
    assert started.wait(30) == -which
"""


@pytest.mark.parametrize("how", ["true", IN_THE_BACKGROUND, NOHUP])
@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_signals_are_as_ever_for_what_tests_start_in_the_background_and_under_nohup(tmp_path, how, options):
    status, out = run(tmp_path, ENDS_ON_A_SIGNAL, *options, how=how)
    assert status == 0, out


LEAVES_PROCESSES = """
import pathlib, subprocess
def test_it():
    started = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exec sleep 1000"],
                               stdout=subprocess.PIPE, text=True)
    pids = [started.pid, int(started.stdout.readline()), int(started.stdout.readline())]
    pathlib.Path("pids").write_text(" ".join(map(str, pids)))
    assert {claim}
"""


@pytest.mark.parametrize("claim", ["True", "False"])
def test_what_a_test_leaves_running_is_ended_and_named(tmp_path, claim):
    status, out = run(tmp_path, LEAVES_PROCESSES.replace("{claim}", claim))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert status == 1
    assert [pid for pid in pids if runs(pid)] == []
    assert [pid for pid in pids if f"process {pid}: sleep 1000" not in out] == [], out


STOPS_WHO_ENTERED = """
import os, signal, subprocess, time
from pathlib import Path
def child(of):
    while not (found := Path(f"/proc/{of}/task/{of}/children").read_text().split()):
        time.sleep(0.01)
    return found[0]
def test_it():
    first = child(subprocess.Popen(["unshare", "-Urpf", "sleep", "1000"]).pid)
    entered = subprocess.Popen(["nsenter", "-t", first, "-U", "-p", "--preserve-credentials", "sleep", "2000"])
    os.kill(int(child(entered.pid)), signal.SIGSTOP)
    assert False
"""


def test_a_namespace_whose_visitors_were_stopped_is_ended_and_the_run_goes_on(tmp_path):
    status, out = run(tmp_path, STOPS_WHO_ENTERED)
    assert status == 1
    assert ": nsenter" in out
    assert "does not end" not in out


def test_a_run_that_is_told_to_end_ends_what_it_has_started(tmp_path):
    code = """
import os, pathlib, subprocess, time
def test_it():
    started = subprocess.Popen(["sleep", "1000"])
    pathlib.Path("made").write_text(str(started.pid))
    pathlib.Path("made").rename("pids")
    os.kill(os.getpid(), 15)
    time.sleep(1000)
"""
    status, out = run(tmp_path, code)
    assert status != 0, out
    assert not runs(int((tmp_path / "pids").read_text())), out


def test_a_temporary_file_that_is_left_is_named(tmp_path):
    status, out = run(tmp_path, "import tempfile\ndef test_it(): tempfile.mkdtemp(prefix='forgotten')\n")
    assert status == 1
    assert "temporary files left" in out
    assert "forgotten" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_namespace_that_is_left_is_deleted_and_named(tmp_path):
    code = "import os, subprocess\ndef test_it(): subprocess.run(['ip', 'netns', 'add', f'crkt-{os.getpid()}-9'])\n"
    status, out = run(tmp_path, code)
    name = out.partition("network namespace ")[2].split()[0]
    assert status == 1
    assert name.startswith("crkt-")
    assert not Path("/run/netns", name).exists()


def test_what_a_program_said_is_shown_where_it_fails(tmp_path):
    code = """
import subprocess
def test_it():
    subprocess.run(["sh", "-c", "echo its words; echo the reason >&2; exit 3"], check=True, capture_output=True)
"""
    status, out = run(tmp_path, code)
    assert status == 1
    assert "its words" in out.partition("stdout of")[2]
    assert "the reason" in out.partition("stderr of")[2]


def test_an_example_that_takes_long_is_no_failure_of_its_claim(tmp_path):
    code = """
import time
from hypothesis import given, settings, strategies as st
@settings(max_examples=3)
@given(st.integers())
def test_it(n):
    time.sleep(0.3)
"""
    status, out = run(tmp_path, code)
    assert status == 0, out
