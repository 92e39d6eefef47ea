"""A version of Python in, a folder with the pinned packages for it out: by this machine's pip, as it is configured."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LOCK = ROOT / "packaging" / "locks" / "dev.txt"
_NOT_FOR_TESTS = ("import-linter", "mypy", "pip-audit", "pip-tools", "pre-commit", "ruff", "types-pyyaml")
"""What `make check`, `make lock` and `make audit` need and no test."""
_SOURCES = ("python-etcd",)
"""What there is as a source alone, which is built here: it is Python, and the same for each."""
_PACKAGE = re.compile(r"^([^\s#]+)==(?:.+\\\n)+.+\n", re.MULTILINE)


class PackagesError(Exception):
    """What pip said."""


def locked() -> dict[str, str]:
    """What tests run with, each package's name with its part of the lock."""
    found = {m[1]: m[0] for m in _PACKAGE.finditer(_LOCK.read_text(encoding="utf-8"))}
    return {name: part for name, part in found.items() if name not in _NOT_FOR_TESTS}


def packages(python: str) -> Path:
    """A folder for PYTHONPATH of that Python ("3.13"); kept in build/ until the lock changes. Raises PackagesError."""
    kept = ROOT / "build" / "releases" / f"python{python}"
    wanted = locked()
    stamp = kept / ".locked"
    if stamp.is_file() and stamp.read_text() == "".join(wanted.values()):
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    wheels = kept.with_name("wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    sources, rest = wheels / "sources.txt", wheels / "rest.txt"
    sources.write_text("".join(wanted[name] for name in _SOURCES))
    rest.write_text("".join(part for name, part in wanted.items() if name not in _SOURCES))
    only = ("--python-version", python, "--implementation", "cp", "--only-binary=:all:", "--target", str(kept))
    _pip(
        "wheel", "--require-hashes", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), "-r", str(sources)
    )
    _pip("install", *only, "--require-hashes", "-r", str(rest))
    _pip("install", *only, "--no-index", "--no-deps", "--upgrade", *map(str, wheels.glob("*.whl")))
    stamp.write_text("".join(wanted.values()))
    return kept


def _pip(*argv: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *argv]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagesError(f"pip {argv[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
