"""What strace wrote of an agent in; the system calls of each call that it served, and their names, out."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WAITING = ("futex",)
"""How often a thread waits for others is for the machine to say."""


def served(trace: str) -> list[list[str]]:
    """The system calls of each call that came, in the order in which they ended; `strace -f -qq` wrote the text."""
    found, open_ones = [], {}
    for line in trace.splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.startswith("accept4(") and "= -1" not in text:
            open_ones[thread] = [text]
        elif thread in open_ones and text.startswith("epoll_wait("):
            found.append(open_ones.pop(thread))
        elif thread in open_ones and "resumed>" not in text:
            open_ones[thread].append(text)
    return found


def names(calls: Iterable[str]) -> list[str]:
    """The names of one call's system calls, but for waiting."""
    found = (re.match(r"\w+(?=\()", call) for call in calls)
    return [name[0] for name in found if name is not None and name[0] not in _WAITING]
