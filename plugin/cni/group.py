"""A process group's number in; whether any of it lives, out: one that has ended and that nobody waited for does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from calico_rkt.plugin.process.proc_stat import fields_of

_STATE, _GROUP = 0, 2
_ENDED = ("Z", "X")


def lives(group: int) -> bool:
    return any(int(fields[_GROUP]) == group and fields[_STATE] not in _ENDED for fields in _processes())


def _processes() -> Iterator[list[str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield fields_of(int(folder.name))
