"""Names of cells in, what is run for each out; `13/kernel` is the kernel tests on Debian 13."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

RELEASES = {"12": "bookworm", "13": "trixie"}
"""Debian's versions that are supported, with their names."""

_CONDITIONS = "tests/clients/test_conditions.py"
TRIED: dict[str, tuple[str, ...]] = {
    "unit": ("-m", "not slow", "tests/unit", "tests/golden"),
    "kernel": ("-m", "not slow", "tests/kernel"),
    "client": ("tests/clients/test_containerd.py", "tests/clients/test_verbs.py"),
    "no-ipv6": (_CONDITIONS, "-k", "without_ipv6 or where_there_is_none"),
    "only-ipv6": (_CONDITIONS, "-k", "nothing_but_ipv6"),
    "read-only": (_CONDITIONS, "-k", "proc_sys or can_not"),
}
"""What is tried on each release, as pytest's arguments; those that a client calls run a dist/calico."""
BUILT_THERE = ("unit", "kernel", "client")
"""These run on what is built on that release; the others on this machine's build, as who installs a package does."""


class UnknownCellError(Exception):
    """Words about a name that is no cell, with the way out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing tried on one release."""

    version: str
    tried: str

    @property
    def name(self) -> str:
        return f"{self.version}/{self.tried}"


def cells(names: Sequence[str]) -> list[Cell]:
    """The cells of these names, release by release, each once: `13`, `kernel`, `13/kernel`; no name is all."""
    every = [Cell(version, tried) for version in RELEASES for tried in TRIED]
    known = {*RELEASES, *TRIED, *(c.name for c in every)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join((*RELEASES, *TRIED))}, and 13/kernel"
            raise UnknownCellError(f"{name!r} is no cell of the matrix: {hint}")
    return [c for c in every if not names or {c.version, c.tried, c.name} & {*names}]
