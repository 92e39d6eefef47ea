"""A version of Python in, a folder with the pinned packages for it out: by this machine's pip, as it is configured."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_FOR_TESTS = ("calico-rkt", "import-linter", "mypy", "pre-commit", "ruff", "types-")
"""This project, and what `make check` needs and no test."""


class PackagesError(Exception):
    """What pip said."""


def pinned() -> list[str]:
    """The requirements of pyproject.toml that tests run with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return [r for r in named if not r.startswith(_NOT_FOR_TESTS)]


def packages(python: str) -> Path:
    """A folder for PYTHONPATH of that Python ("3.13"); kept in build/ until a pin changes. Raises PackagesError."""
    kept = ROOT / "build" / "releases" / f"python{python}"
    wanted = "\n".join(pinned())
    stamp = kept / ".pinned"
    if stamp.is_file() and stamp.read_text() == wanted:
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    wheels = kept.with_name("wheels")
    # What there is as a source alone is built here: it is Python, and the same for each.
    sources = [r for r in pinned() if r.startswith("python-etcd")]
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), *sources)
    only = ("--python-version", python, "--implementation", "cp", "--only-binary=:all:")
    _pip("install", *only, "--find-links", str(wheels), "--target", str(kept), *pinned())
    stamp.write_text(wanted)
    return kept


def _pip(*argv: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *argv]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagesError(f"pip {argv[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
