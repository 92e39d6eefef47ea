"""The kinds of a run's effects in, the faults to try out: each before and at each effect, or a sample of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.effects import OF_A_CHILD, errors_of, word_of
from tests.faults.supervisor import KILL, Plan


@dataclass(frozen=True)
class Case:
    """One fault: at which effect of a run, its kind there, what happens, and how many changes came before it."""

    at: int
    kind: str
    act: int | str
    state: int = 0

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
    name, _, what = kind.removeprefix(OF_A_CHILD).partition(" ")
    if what.startswith("http"):
        return name == "sendto" and not what.startswith(_ASKING) and what != _TRANSACTION
    if name in ("sendto", "sendmsg") and what.startswith(("nft", "route")):
        words = what.split()[1:]
        return not all(w.startswith("GET") or (what.startswith("nft") and w in _NFT_GETS) for w in words)
    return name not in _KEEPS and what != "/memfd"


_ASKING = ("http GET", "http POST /v3/kv/range", "http POST /v3/auth")
_TRANSACTION = "http POST /v3/kv/txn"  # one that only asks: what writes says so behind it
_NFT_GETS = {"1", "4", "7", "10", "13", "16", "19", "23"}


def every(kinds: Sequence[str]) -> list[Case]:
    """Ended before each effect and after the last (where what is there differs), and each error of each effect."""
    found, changed, state = [], True, 0
    for at, kind in enumerate(kinds):
        if changed or kind == "exit_group":
            found.append(Case(at, kind, KILL, state))
        changed = changes(kind)
        found += [Case(at, kind, act, state) for act in errors_of(kind)]
        state += changed
    return found


def different(cases: Iterable[Case], turn: int) -> list[Case]:
    """Of those that meet the same state of the host at the same kind of effect with the same act, one; turn: which.

    Each kind with each act comes first once, then the rest, in an order that turn decides.
    """
    same: dict[tuple[int, str, int | str], list[Case]] = {}
    for case in cases:
        same.setdefault((case.state, case.kind, case.act), []).append(case)
    chance = random.Random(turn)
    chosen = [chance.choice(ones) for ones in same.values()]
    chance.shuffle(chosen)
    seen: set[tuple[str, int | str]] = set()
    first = [c for c in chosen if (c.kind, c.act) not in seen and not seen.add((c.kind, c.act))]  # type: ignore[func-returns-value]
    return [*first, *(c for c in chosen if c not in set(first))]


def sample(cases: Iterable[Case], most: int, turn: int = 0) -> list[Case]:
    """Of each kind and act one, then as many as are wanted of these, spread evenly; turn: another choice."""
    first: dict[tuple[str, int | str], list[Case]] = {}
    for case in cases:
        first.setdefault((case.kind, case.act), []).append(case)
    distinct = [same[turn % len(same)] for same in first.values()]
    step = max(1.0, len(distinct) / most)
    return [distinct[int(i * step + turn) % len(distinct)] for i in range(min(most, len(distinct)))]
