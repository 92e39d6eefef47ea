"""dist/calico under a Python that is too old: another one, or an error that a runtime can read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "packaging" / "zip_main.py"
_OLD = (
    "import sys; sys.version_info = (3, 9, 2);"
    "exec(compile(open(sys.argv[1]).read(), 'zip_main', 'exec'), {'__name__': '__main__'})"
)


def run(folder, path="", **env):
    # The real ones of this host would be found: only the test's folder is looked at.
    script = _OLD.replace(
        ".read()", f".read().replace('\"/usr/bin\", \"/usr/local/bin\"', {str(folder)!r}.join('\"\"') + ',')"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(MAIN)],
        capture_output=True,
        env={"PATH": f"{path}:{os.environ['PATH']}", **env},
        check=False,
    )


def test_an_old_python_is_an_error_in_cni_json(tmp_path):
    done = run(tmp_path, CNI_COMMAND="ADD")
    error = json.loads(done.stdout)
    assert (done.returncode, error["code"]) == (1, 5)
    assert "3.11 or newer" in error["msg"]
    assert "is 3.9" in error["msg"]
    assert done.stderr == b""


def test_people_are_told_on_stderr(tmp_path):
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"3.11 or newer" in done.stderr


@pytest.mark.parametrize("name", ["python3.11", "python3.14"])
def test_a_newer_one_beside_it_goes_on(tmp_path, name):
    other = tmp_path / name
    other.write_text('#!/bin/sh\necho "went on with $*"\n')
    other.chmod(0o755)
    done = run(tmp_path, CNI_COMMAND="ADD")
    assert done.stdout.startswith(b"went on with -IS"), done


def test_one_that_is_too_old_does_not(tmp_path):
    other = tmp_path / "python3.10"
    other.write_text("#!/bin/sh\necho went on\n")
    other.chmod(0o755)
    assert json.loads(run(tmp_path, CNI_COMMAND="ADD").stdout)["code"] == 5


def test_what_is_first_in_path_runs_nothing(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "python3.11").write_text("#!/bin/sh\necho went on\n")
    (mine / "python3.11").chmod(0o755)
    assert json.loads(run(tmp_path, mine, CNI_COMMAND="ADD").stdout)["code"] == 5


_MINIMAL = "import os, sys; os.__file__ = sys.argv[2] + '/os.py'; " + _OLD.partition("; ")[2].partition(";")[2]


def minimal(folder, **env):
    return subprocess.run(
        [sys.executable, "-c", _MINIMAL, str(MAIN), str(folder)],
        capture_output=True,
        env={"PATH": os.environ["PATH"], **env},
        check=False,
    )


def test_a_python_without_its_standard_library_is_an_error_with_the_way_out(tmp_path):
    done = minimal(tmp_path, CNI_COMMAND="ADD")
    error = json.loads(done.stdout)
    assert (done.returncode, error["code"], done.stderr) == (1, 5, b"")
    assert error["msg"].endswith("(python3-minimal is not enough): apt-get install python3")
    done = minimal(tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"calico: python3 (3.11 or newer) is needed, and ")
