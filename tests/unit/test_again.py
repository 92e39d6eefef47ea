"""A run with failures, and what is said of each when it is tried again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import again

TOP = Path(__file__).parents[2]
FAILS = "def test_{n}():\n    assert False\n"
FAILS_ONCE = """
from pathlib import Path
def test_busy():
    been = Path("been")
    if not been.exists():
        been.touch()
        assert False
"""


def tried_again(folder: Path, tests: str) -> tuple[int, str]:
    (folder / "test_one.py").write_text(tests + "def test_well():\n    pass\n")
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, check=False, capture_output=True)
    done = subprocess.run(
        [sys.executable, TOP / "tests/again.py"], cwd=folder, check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout


def test_what_fails_once_is_named_and_passes(tmp_path):
    status, out = tried_again(tmp_path, FAILS_ONCE)
    assert status == 0, out
    assert out.count("1 passed") == again.TIMES
    assert "UNSTEADY" in out.splitlines()[-1]
    assert "test_one.py::test_busy" in out.splitlines()[-1]


@pytest.mark.parametrize("number", [1, again.MOST + 1])
def test_what_fails_again_and_what_are_too_many_fail(tmp_path, number):
    status, out = tried_again(tmp_path, "".join(FAILS.format(n=n) for n in range(number)))
    assert status == 1, out
    assert "UNSTEADY" not in out


def test_a_file_that_can_not_be_read_in_fails_and_so_does_a_run_of_which_nothing_is_known(tmp_path):
    assert tried_again(tmp_path, "import nothing_of_that_name\n")[0] == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    assert tried_again(empty, "")[0] == 1
