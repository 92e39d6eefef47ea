"""The base's template in; what the kernel's table says of itself, and how a reader measures it, out. No effects.

Chain `layout` of the table, which no packet meets, has a comment a line: the version and the text that the base was
made of, then for each chain of the base how many rules it has and where it is hooked in. So every build can tell by a
table's own measure whether it is whole, also one that an older or a newer build made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from calico_rkt.compiler.digest import sha256
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce.nft.elements import TABLE

VERSION = 3
"""Counted up when the table gets a layout that builds of before can't join: 1 had no chain `layout`, 2 no groups."""

CHAIN = "layout"
CLOSED = "closed: calico-rkt restore"
"""The only line of a table that was put in place to close a host: everything is to be restored."""

UNFINISHED = "unfinished: calico-rkt restore"
"""The last line of a table whose endpoints are to be let in yet: they are closed until then, as after CLOSED."""

_HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_BASE_CHAIN = re.compile(
    r"^add chain inet \{\{ table \}\} (\S+) \{ type (\w+) hook (\w+) "
    r"priority (\w+)(?: ([+-]) (\d+))?; policy accept; \}$",
    re.MULTILINE,
)
_VERSION = re.compile(r"layout (\d+) ([0-9a-f]{12})\Z")
_CHAIN = re.compile(r"(\S+) (\d+)(?: (\w+) (\d) (-?\d+))?\Z")


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a base chain is: its type, the hook's and the priority's number; what it lets through is its policy."""

    kind: str
    number: int
    priority: int


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table has when it is whole: rules by chain, and the hooks of those that have one."""

    version: int
    text: str
    rules: Mapping[str, int]
    hooks: Mapping[str, Hook]


_FIRST_HOOKS = {
    "prerouting": Hook("filter", 0, -300),
    "forward": Hook("filter", 2, 0),
    "input": Hook("filter", 1, 0),
    "postrouting": Hook("nat", 4, 100),
}
FIRST = Measure(
    1, "", {"prerouting": 5, "forward": 5, "input": 7, "postrouting": 2, "egress": 2, "ingress": 2}, _FIRST_HOOKS
)
"""The table of the builds that put no chain `layout`."""

_EARLY = Hook("filter", 0, -410)
"""Before fragments are put together (-400); builds before looked at a packet behind that only."""

SHUT = Measure(0, "", {"prerouting": 1, "forward": 1}, {"prerouting": _EARLY, "forward": _FIRST_HOOKS["forward"]})
"""The table that closes a host (closing.py)."""


def measure_of(template: bytes, rules: Mapping[str, int]) -> Measure:
    """The measure of a table that this build makes of its base's template."""
    return Measure(VERSION, sha256(template).hexdigest()[:12], rules, _hooks(template.decode()))


def may_be_hooked(said: Measure) -> tuple[Mapping[str, Hook], ...]:
    """Where the chains of a whole table of this measure are; one that does not say it itself may be of any build."""
    if said not in (FIRST, SHUT):
        return (said.hooks,)
    return tuple({**said.hooks, "prerouting": first} for first in (_EARLY, _FIRST_HOOKS["prerouting"]))


def _hooks(template: str) -> dict[str, Hook]:
    """The hooks that the template names; rendering it takes 60 ms, and every ADD without an agent asks."""
    return {
        name: Hook(kind, _HOOKS[hook], _PRIORITIES[word] + int(f"{sign or '+'}{more or 0}"))
        for name, kind, hook, word, sign, more in _BASE_CHAIN.findall(template)
    }


def lines(measure: Measure) -> tuple[str, ...]:
    """What chain `layout` says of it."""
    hooks = {n: f" {h.kind} {h.number} {h.priority}" for n, h in measure.hooks.items()}
    return (
        f"layout {measure.version} {measure.text}",
        *(f"{name} {count}{hooks.get(name, '')}" for name, count in sorted(measure.rules.items())),
    )


def measure_script(measure: Measure, *, finished: bool = True) -> str:
    """The script that writes a build's lines; a part of its base."""
    chain = f"inet {TABLE} {CHAIN}"
    said = lines(measure) if finished else (*lines(measure), UNFINISHED)
    rules = (f'add rule {chain} return comment "{line}"\n' for line in said)
    return f"add chain {chain}\nflush chain {chain}\n{''.join(rules)}"


def read_measure(said: Iterable[str]) -> Measure | None:
    """The measure that a table's own lines give; FIRST where it has none, None where they make no sense."""
    found = tuple(line for line in said if line != UNFINISHED)
    if not found:
        return FIRST
    if found == (CLOSED,):
        return SHUT
    version = _VERSION.match(found[0])
    chains = [_CHAIN.match(line) for line in found[1:]]
    if version is None or not chains or None in chains:
        return None
    rules: dict[str, int] = {}
    hooks: dict[str, Hook] = {}
    for chain in chains:
        if chain is not None:
            rules[chain[1]] = int(chain[2])
            if chain[3]:
                hooks[chain[1]] = Hook(chain[3], int(chain[4]), int(chain[5]))
    return Measure(int(version[1]), version[2], rules, hooks)
