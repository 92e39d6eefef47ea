"""`make matrix`: a part of it in each long run of the tests, and what it says to names that are no cells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.releases.cells import BUILT_THERE, RELEASES, TRIED, Cell, cells

ROOT = Path(__file__).resolve().parents[2]


def matrix(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.releases", *names],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("14", "there are 12, 13, unit,"),
        ("13/kernal", "did you mean 13/kernel?"),
        ("Kernel", "did you mean kernel?"),
        ("bookworm", "there are 12, 13, unit,"),
        ("13/", "did you mean 13?"),
        ("", "there are 12, 13,"),
        ("--release=13", "there are 12, 13,"),
        ("13 kernel", "did you mean 13/kernel?"),
        ("13/unit/kernel", "did you mean 13/kernel?"),
        ("../13", "there are 12, 13,"),
        ("\x1b[31m", "there are 12, 13,"),
    ],
)
def test_what_is_no_cell_is_named_with_the_way_out(name: str, hint: str) -> None:
    done = matrix("12/unit", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"matrix: {name!r} is no cell of the matrix: ")
    assert hint in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_choose_cells_each_once() -> None:
    every = cells([])
    assert len(every) == len(set(every)) == len(RELEASES) * len(TRIED)
    assert cells(["13/kernel", "13/kernel"]) == [Cell("13", "kernel")]
    assert {c.version for c in cells(["13"])} == {"13"}
    assert [c.version for c in cells(["no-ipv6"])] == [*RELEASES]
    assert {*BUILT_THERE} < {*TRIED}


@pytest.mark.kernel
@pytest.mark.clients
@pytest.mark.slow
def test_debian_13_holds_a_cell_of_each_kind() -> None:
    done = matrix("13/unit", "13/kernel", "13/client", "13/read-only")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^13 +(3\.\d+) +(1\.\S+) +(\S+) +(\d+) passed", done.stdout, re.MULTILINE)
    assert [(python, nft, tried) for python, nft, tried, _ in rows] == [
        ("3.13", "1.1.3", tried) for tried in ("unit", "kernel", "client", "read-only")
    ]
