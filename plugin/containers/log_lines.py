"""The log's file and those that logrotate kept of it in; its records, and which of them are about somebody, out."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from calico_rkt.plugin.process.streams import warn

_BEGINS = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} (?P<process>\d+) (?P<level>[A-Z]+) (?P<text>.*)")
_ROTATED = re.compile(r"\.(\d+)(?:\.gz)?\Z")
_WORD = re.compile(r"[^\s'\"(),:;\[\]{}]+(?::+[0-9a-fA-F][^\s'\"(),;\[\]{}]*)*")
"""A word of a line, an IPv6 address in one."""
_CONTAINERS = re.compile(
    r"(?:(?<![=\w])(?:ADD|DEL|CHECK|freed|keeps|kept) [^\s/]+ (?P<one>[^\s/]+) [^\s/:]+"
    r"|(?:^|[\s'\"(])[^\s/'\"(]+/(?P<two>[^\s/]+)/[^\s/]+"
    r"|\bcontainer='(?P<three>[^']*)')"
)
"""Where a line has the id of a container: behind its network, or called so."""
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
    """Who is meant: words that name him, begins of words, and begins of what can only be a container's id."""

    words: frozenset[str]
    begins: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def fits(self, record: Record) -> bool:
        """Whether a record names him; GC and `NETWORK/CONTAINER/IFNAME` do so by the parts of a word."""
        found = {part for word in _WORD.findall(record.text) for part in (word, *word.split("/"))}
        if not self.words.isdisjoint(found) or any(p.startswith(b) for b in self.begins for p in found):
            return True
        return bool(self.ids) and any(i.startswith(self.ids) for i in _containers(record.text))


def _containers(text: str) -> Iterator[str]:
    for found in _CONTAINERS.finditer(text):
        yield found["one"] or found["two"] or found["three"] or ""


def kept(path: Path) -> Iterator[Record]:
    """Every record of the log's file and of those before it, the oldest first."""
    older = [p for p in path.parent.glob(f"{path.name}.*") if _ROTATED.search(p.name)]
    for one in (*sorted(older, key=_number, reverse=True), path):
        opened = gzip.open if one.suffix == ".gz" else open
        with opened(one, "rt", encoding="utf-8", errors="replace") as lines:
            yield from records(_readable(lines, one))


def _readable(lines: Iterable[str], path: Path) -> Iterator[str]:
    """As far as a compressed file can be read: a full disk, or who ended logrotate, leaves a part of one."""
    try:
        yield from lines
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        warn(f"calico-rkt: {path} can be read in part only: {e}\n")


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


def at_end(path: Path) -> BinaryIO | None:
    """The log's file, open at where it ends now; None where there is none yet."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    file.seek(0, os.SEEK_END)
    return file


def coming(path: Path, file: BinaryIO | None, pause: Callable[[float], None]) -> Iterator[Record]:
    """What is written from where the file is open on, for ever: the end of what logrotate moved away, then the new.

    pause waits so many seconds between two looks.
    """
    begun = b""
    try:
        while True:
            pause(_PAUSE)
            new = _new_at(path, file)  # before the old one is read: nobody writes to it later than that
            if file is not None:
                if os.fstat(file.fileno()).st_size < file.tell():  # logrotate's copytruncate
                    file.seek(0)
                whole, _, begun = (begun + file.read()).rpartition(b"\n")
                yield from records(whole.decode(errors="replace").splitlines())
            if new is not None:
                if file is not None:
                    file.close()
                file, begun = new, b""
    finally:
        if file is not None:
            file.close()


def _new_at(path: Path, file: BinaryIO | None) -> BinaryIO | None:
    """What stands at the path where that is another file."""
    try:
        if file is not None and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return None
        return path.open("rb")
    except FileNotFoundError:
        return None
