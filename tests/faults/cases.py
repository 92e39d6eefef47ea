"""The kinds of a run's effects in, the faults to try out: each before and at each effect, or a sample of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.effects import errors_of, word_of
from tests.faults.supervisor import KILL, Plan


@dataclass(frozen=True)
class Case:
    """One fault: at which effect of a run, its kind there, and what happens."""

    at: int
    kind: str
    act: int | str

    @property
    def plan(self) -> Plan:
        return Plan(self.at, self.act, "" if self.act == KILL else self.kind)

    def __str__(self) -> str:
        return f"{self.act if self.act == KILL else word_of(self.act)} at {self.at} ({self.kind})"


_KEEPS = (
    "recvfrom",
    "recvmsg",
    "socket",
    "fcntl",
    "flock",
    "connect",
    "bind",
    "memfd_create",
    "socketpair",
    "clone3",
    "clone",
    "setns",
)
"""Nothing is left of these when their process has ended."""


def changes(kind: str) -> bool:
    """Whether a process that ends after it leaves another state than one that ends before it."""
    name, _, what = kind.partition(" ")
    if name in ("sendto", "sendmsg") and what.startswith(("nft", "route")):
        words = what.split()[1:]
        return not all(w.startswith("GET") or (what.startswith("nft") and w in _NFT_GETS) for w in words)
    return name not in _KEEPS and what != "/memfd"


_NFT_GETS = {"1", "4", "7", "10", "13", "16", "19", "23"}


def every(kinds: Sequence[str]) -> list[Case]:
    """Ended before each effect and after the last (where what is there differs), and each error of each effect."""
    found, changed = [], True
    for at, kind in enumerate(kinds):
        if changed or kind == "exit_group":
            found.append(Case(at, kind, KILL))
        changed = changes(kind)
        found += [Case(at, kind, act) for act in errors_of(kind)]
    return found


def sample(cases: Iterable[Case], most: int, turn: int = 0) -> list[Case]:
    """Of each kind and act one, then as many as are wanted of these, spread evenly; turn: another choice."""
    first: dict[tuple[str, int | str], list[Case]] = {}
    for case in cases:
        first.setdefault((case.kind, case.act), []).append(case)
    distinct = [same[turn % len(same)] for same in first.values()]
    step = max(1.0, len(distinct) / most)
    return [distinct[int(i * step + turn) % len(distinct)] for i in range(min(most, len(distinct)))]
