"""packaging/locks: each package with version and hashes, as pyproject.toml pins it; no word of where it was got."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {path.stem: path.read_text() for path in (ROOT / "packaging" / "locks").glob("*.txt")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUN, BUILD, DEV = PROJECT["project"]["dependencies"], EXTRAS["build"], EXTRAS["dev"]
_PACKAGE = re.compile(r"^(\S+)==(\S+) \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    return {package: version for package, version, _ in _PACKAGE.findall(LOCKS[name])}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("backend", PROJECT["build-system"]["requires"]), ("build", RUN + BUILD), ("dev", RUN + BUILD + DEV)],
)
def test_a_lock_has_what_the_project_pins(lock: str, wanted: list[str]) -> None:
    found = locked(lock)
    for one in map(Requirement, wanted):
        assert f"=={found.get(canonicalize_name(one.name))}" == str(one.specifier), f"{one}: make lock"


def test_each_lock_is_a_part_of_the_next() -> None:
    assert locked("backend").items() <= locked("build").items() <= locked("dev").items()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_packages_with_hashes_and_nothing_else(name: str) -> None:
    """No line is an option, an index, an address or a path: any index that pip is told of will do."""
    rest = _PACKAGE.sub("", LOCKS[name])
    assert [line for line in rest.splitlines() if line and not line.lstrip().startswith("#")] == []
    assert not re.search(r"://|(?:^|\s)/|--(?!hash=)", rest.replace("-c packaging/locks/build.txt", "")), rest
