"""The log's file and those that logrotate kept of it in; its records, and which of them are about somebody, out."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_BEGINS = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} (?P<process>\d+) (?P<level>[A-Z]+) (?P<text>.*)")
_ROTATED = re.compile(r"\.(\d+)(?:\.gz)?\Z")
_WORD = re.compile(r"[^\s'\"(),:;\[\]{}]+(?::+[0-9a-fA-F][^\s'\"(),;\[\]{}]*)*")
"""A word of a line, an IPv6 address in one."""
_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Record:
    """One entry; text may have lines behind the first. when is local time, as the log has it."""

    when: datetime
    process: int
    level: str
    text: str

    def __str__(self) -> str:
        return f"{self.when} {self.process} {self.level} {self.text}"


@dataclass(frozen=True, slots=True)
class About:
    """Who is meant: words that name him, and begins of words, such as those of ids."""

    words: frozenset[str]
    begins: tuple[str, ...] = ()

    def fits(self, record: Record) -> bool:
        """Whether a record names him; GC and `NETWORK/CONTAINER/IFNAME` do so by the parts of a word."""
        found = {part for word in _WORD.findall(record.text) for part in (word, *word.split("/"))}
        return not self.words.isdisjoint(found) or any(p.startswith(b) for b in self.begins for p in found)


def kept(path: Path) -> Iterator[Record]:
    """Every record of the log's file and of those before it, the oldest first."""
    older = [p for p in path.parent.glob(f"{path.name}.*") if _ROTATED.search(p.name)]
    for one in (*sorted(older, key=_number, reverse=True), path):
        opened = gzip.open if one.suffix == ".gz" else open
        with opened(one, "rt", encoding="utf-8", errors="replace") as lines:
            yield from records(lines)


def _number(path: Path) -> int:
    found = _ROTATED.search(path.name)
    return int(found[1]) if found else 0


def records(lines: Iterable[str]) -> Iterator[Record]:
    """The records of a log's lines; a line that begins none belongs to the one before."""
    current: Record | None = None
    for line in lines:
        begin = _BEGINS.match(line.rstrip("\n"))
        if begin is not None:
            if current is not None:
                yield current
            when = datetime.fromisoformat(begin["time"])
            current = Record(when, int(begin["process"]), begin["level"], begin["text"])
        elif current is not None:
            text = f"{current.text}\n{line.rstrip()}"
            current = Record(current.when, current.process, current.level, text)
    if current is not None:
        yield current


Place = tuple[int, int]
"""Where a log stands: the file's inode, and its size."""


def end_of(path: Path) -> Place:
    """Where it ends now."""
    try:
        at = path.stat()
    except FileNotFoundError:
        return 0, 0
    return at.st_ino, at.st_size


def coming(path: Path, begin: Place) -> Iterator[Record]:
    """What is written from there on, for ever; a file that logrotate moved away is read on in the new one."""
    inode, offset = begin
    while True:
        time.sleep(_PAUSE)
        try:
            now = path.stat()
        except FileNotFoundError:
            continue
        if now.st_ino != inode or now.st_size < offset:
            offset, inode = 0, now.st_ino
        if now.st_size > offset:
            with path.open("rb") as file:
                file.seek(offset)
                whole = file.read().rpartition(b"\n")[0]
            offset += len(whole) + 1 if whole else 0
            yield from records(whole.decode(errors="replace").splitlines())
