"""What strace wrote of an agent in; the system calls of each call that it served out."""

from __future__ import annotations

WAITING = ("futex", "poll")
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
