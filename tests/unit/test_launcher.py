"""The launcher as it is built, without a C library: what it costs to begin, and its own answers on odd descriptors."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.launcher import compiled


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("built") / "launcher")


def test_it_asks_the_processor_nothing_and_needs_no_loader(launcher: Path) -> None:
    """Each question is a way out of a virtual machine: of those that a C library asks first come 0.7 ms a call."""
    code = subprocess.run(["objdump", "-d", str(launcher)], capture_output=True, text=True, check=True).stdout
    assert "syscall" in code or "svc" in code, "it was taken apart"
    assert "cpuid" not in code
    heads = subprocess.run(["readelf", "-lW", str(launcher)], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in heads
    assert "GNU_STACK" in heads, "whose memory for data is none for code"
    assert "RWE" not in heads


def test_it_says_what_is_wrong_with_stdin(launcher: Path, tmp_path: Path) -> None:
    with tmp_path.joinpath("out").open("wb+") as out:
        folder = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "{launcher}" <"{tmp_path}"'], stdout=out, env={"CNI_COMMAND": "ADD"}
        )
        assert folder.wait() == 1
        out.seek(0)
        assert json.loads(out.read())["details"] == "Is a directory"


@pytest.mark.parametrize("stdout", ["/dev/full", "/dev/null"])
def test_the_version_is_said_or_it_fails(launcher: Path, stdout: str) -> None:
    with Path(stdout).open("wb") as out:
        done = subprocess.run([str(launcher)], stdout=out, env={"CNI_COMMAND": "VERSION"}, check=False)
    assert (done.returncode == 0) is (stdout == "/dev/null")


def test_it_finds_python_whatever_stands_before_the_environment(launcher: Path) -> None:
    """Not a call: python3 on the launcher's file, which holds no program here, and says so."""
    words = [f"word{n}" for n in range(3000)]
    done = subprocess.run([str(launcher), *words], capture_output=True, env={"CNI": "no", "Z": ""}, check=False)
    assert done.returncode != 0
    assert b"/proc/self/fd/" in done.stderr or b"python3" in done.stderr
