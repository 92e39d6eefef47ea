"""A lab in; what its kernel counted of packets that it dropped while a block ran, as words, out.

A packet that is lost has a cause: the rules, which count nothing here; else one of these counters moved, and names it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.clients.support.lab import Lab

_SOFTNET = Path("/proc/net/softnet_stat")
_TELLING = re.compile(r"(Discards|Errors|Drop|Fail|NoRoutes|AddrErr|Filter)", re.IGNORECASE)


class Drops:
    """Counters at the block's begin; str() is what has moved since, by its end."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before: dict[str, int] = {}
        self._moved: dict[str, int] | None = None

    def __enter__(self) -> Self:
        self._before = self._counted()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        now = self._counted()
        self._moved = {name: count - self._before.get(name, 0) for name, count in now.items()}

    def __str__(self) -> str:
        moved = {name: count for name, count in (self._moved or {}).items() if count}
        return f"the kernel counted {moved or 'no drop'}"

    def _counted(self) -> dict[str, int]:
        """softnet's are the machine's: a queue of a processor that overflowed, whoever filled it."""
        found = {}
        rows = [line.split() for line in _SOFTNET.read_text().splitlines()]
        found["softnet dropped"] = sum(int(row[1], 16) for row in rows)
        for line in self._lab.out("conntrack", "-S").splitlines():
            for word in line.split()[1:]:
                name, _, value = word.partition("=")
                if name in ("insert_failed", "drop", "early_drop", "clash_resolve"):
                    found[f"conntrack {name}"] = found.get(f"conntrack {name}", 0) + int(value)
        for line in self._lab.out("cat", "/proc/net/snmp6").splitlines():
            name, value = line.split()
            if _TELLING.search(name):
                found[name] = int(value)
        heads, *rows4 = [line.split() for line in self._lab.out("cat", "/proc/net/snmp").splitlines()][:2]
        found |= {f"Ip4 {n}": int(v) for n, v in zip(heads[1:], rows4[0][1:], strict=True) if _TELLING.search(n)}
        for link in json.loads(self._lab.out("ip", "-j", "-s", "link")):
            for way in ("rx", "tx"):
                counted = link.get("stats64", {}).get(way, {})
                found[f"{link['ifname']} {way} dropped"] = counted.get("dropped", 0)
        return found
