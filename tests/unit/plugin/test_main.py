"""The front door as a process: one JSON object or nothing on stdout, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher import compiled

ROOT = Path(__file__).parents[3]


def run(argv=(), stdin=b"", **env):
    return subprocess.run(
        [sys.executable, "-m", "calico_rkt", *argv],
        input=stdin,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "CALICO_RKT_LOG": "/dev/null", **env},
        check=False,
    )


def test_version_answers_without_reading_stdin():
    answer = json.loads(run(CNI_COMMAND="VERSION").stdout)
    assert answer["supportedVersions"] == ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def test_the_launcher_and_python_give_the_same_version_answer(tmp_path):
    launcher = compiled(tmp_path / "launcher")
    said = subprocess.run([launcher], capture_output=True, env={"CNI_COMMAND": "VERSION"}, check=True).stdout
    assert json.loads(said) == json.loads(run(CNI_COMMAND="VERSION").stdout)


def test_a_python_without_a_module_of_its_own_library_is_an_error_in_cni_json(tmp_path):
    code = "import sys; sys.modules['fcntl'] = None; from calico_rkt.plugin.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "CALICO_RKT_LOG": str(tmp_path / "log"), "CNI_COMMAND": "ADD"},
        check=False,
    )
    error = json.loads(done.stdout)
    assert (done.returncode, error["code"]) == (1, 100)
    assert "ModuleNotFoundError" in error["msg"]
    assert b"Traceback" not in done.stderr
    assert "Traceback" in (tmp_path / "log").read_text()


_LATE = "import atexit; atexit.register(print, 'torn down'); from calico_rkt.plugin.main import process; process()"


@pytest.mark.parametrize(("env", "torn_down"), [({"CNI_COMMAND": "VERSION"}, False), ({}, True)])
def test_a_call_ends_when_it_has_answered(env, torn_down):
    done = subprocess.run([sys.executable, "-c", _LATE], capture_output=True, env=env, check=False)
    assert done.returncode == 2 * torn_down
    assert (b"torn down" in done.stdout) == torn_down
    assert torn_down or json.loads(done.stdout)["cniVersion"]


def test_without_a_command_it_says_what_it_is():
    done = run()
    assert done.returncode == 2
    assert b"CNI plugin" in done.stderr


@pytest.mark.parametrize("stdin", [b"", b"{", b"\xff\x00", b"[]", b"null", b" " * 2_000_000])
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS", "NONSENSE", ""])
def test_a_refused_call_is_one_json_object_and_no_traceback(command, stdin):
    done = run(stdin=stdin, CNI_COMMAND=command)
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert error["code"] > 0
    assert error["msg"]
    assert b"Traceback" not in done.stdout + done.stderr
