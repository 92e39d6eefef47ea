"""A process group's number in; whether any of it lives, out: one that has ended and that nobody waited for does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_STATE, _GROUP = 0, 2
"""Of what stands in /proc/PID/stat behind the name, which may hold anything."""
_ENDED = ("Z", "X")


def lives(group: int) -> bool:
    return any(int(fields[_GROUP]) == group and fields[_STATE] not in _ENDED for fields in _processes())


def _processes() -> Iterator[list[str]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                yield (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
