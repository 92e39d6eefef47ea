"""A log's path and a boot in, its tables as of now out, one transaction more on the disk: the open file of a process.

Who reads takes no lock: what is there to be read was written in one piece, or is the beginning of a record that nobody
was told of. Who writes has the file locked, cuts off what an ended one left, and writes one record with one call.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from errno import EINVAL, ENOSPC, ENOSYS, EOPNOTSUPP, EROFS
from pathlib import Path
from stat import S_ISREG

from calico_rkt.compiler import atomic
from calico_rkt.plugin.process.locks import lock_open_file
from calico_rkt.plugin.store.log import records
from calico_rkt.plugin.store.log.tables import ENDPOINTS, Tables

_KEEP_SIZE = 1
_ROOM, _ROOM_EACH = 16 << 10, 160
"""Bytes kept free behind a log, and for each endpoint beside its key: all can be given back on a full disk."""
_MORE = 64 << 10
"""Bytes that are read at once beyond a file's size: somebody may be writing."""
_Stamp = tuple[int, int, int]
_UNKNOWN: _Stamp = (-1, 0, 0)


class LogFile:
    """One process's open file of a log, and what it has read of it."""

    def __init__(self, path: str, boot: str) -> None:
        """OSError where it can't be opened; FileNotFoundError where none is there."""
        self.path, self._boot = path, boot
        self._fd, self._is_writable = _opened(self.path)
        found = os.fstat(self._fd)
        if not S_ISREG(found.st_mode):
            os.close(self._fd)
            raise OSError(EINVAL, "it is no regular file")
        self._identity = found.st_dev, found.st_ino
        self._stamp: _Stamp = _UNKNOWN
        self._start()

    def _start(self) -> None:
        """Nothing of it is known."""
        self._reader: records.Reader | None = None
        self.tables = Tables()
        self.is_old = False
        """Whether it is of an earlier boot: its records count for nothing."""

    def close(self) -> None:
        """Let go of it, and of its lock."""
        os.close(self._fd)

    def is_at(self, found: os.stat_result) -> bool:
        """Whether it is still what stands at its path."""
        return (found.st_dev, found.st_ino) == self._identity

    def lock(self) -> bool:
        """Have it alone, if nobody has it now."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock_by(self, fd: int) -> bool:
        """Have it alone by a descriptor of locked(), which is this one's then; False where that is another file's."""
        if not self.is_at(os.fstat(fd)):
            return False
        os.close(self._fd)
        self._fd = fd
        return True

    def unlock(self) -> bool:
        """Let others have it; False where the kernel has no memory for that, and this is to be closed."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError:
            return False
        return True

    def look(self, found: os.stat_result) -> Tables:
        """The tables as they are now; found: what its path is. DamagedLogError; a torn end is none."""
        stamp = _stamp(found)
        if stamp != self._stamp:
            if stamp[0] <= self._stamp[0] or (self._reader is not None and stamp[0] < self._reader.at):
                self._start()  # written over, cut: what is on the disk counts, not what was read of it before
            try:
                self._read(found.st_size)
            except BaseException:
                self.forget()
                raise
            whole = self._reader is None or self._reader.at == stamp[0]
            self._stamp = stamp if whole else _UNKNOWN
        return self.tables

    def _read(self, size: int) -> None:
        at = self._reader.at if self._reader else 0
        data, begin = _from(self._fd, at, size), 0
        if self._reader is None:
            self.is_old = records.read_head(data) != self._boot
            if self.is_old:
                return
            self._reader, begin = records.Reader(self._boot), records.HEAD_BYTES
        for body in self._reader.bodies(data, begin):
            self.tables.load(body)

    def forget(self) -> None:
        """Read all of it again the next time."""
        self._stamp = _UNKNOWN
        self._start()

    def cut(self, found: os.stat_result) -> os.stat_result:
        """Take off what an ended writer left behind the last whole record; under the lock, after look().

        What its path is then: the room kept behind the end goes with it.
        """
        if not self._is_writable or found.st_size <= self._at.at:
            return found
        os.ftruncate(self._fd, self._at.at)
        return os.fstat(self._fd)

    def append(self, found: os.stat_result) -> None:
        """Put the lines of the tables' transaction on the disk, under the lock, after look() and cut().

        OSError where that can't be, or there is no room to give back all that would be recorded then: nothing is there.
        """
        if not self._is_writable:
            raise OSError(EROFS, os.strerror(EROFS))
        at = self._at
        data, check = records.record("".join(self.tables.lines).encode("ascii"), at.check)
        for line in self.tables.lines:
            if line.startswith(f"+{ENDPOINTS}"):
                self._keep_room(found, line, len(data))
        try:
            if os.write(self._fd, data) != len(data):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        except BaseException:
            self.forget()
            with suppress(OSError):  # the next writer does it
                os.ftruncate(self._fd, at.at)
            raise
        at.at, at.check, at.records = at.at + len(data), check, at.records + 1
        self._stamp = _stamp(os.fstat(self._fd))

    @property
    def _at(self) -> records.Reader:
        assert self._reader is not None, "look() comes first"
        return self._reader

    def _keep_room(self, found: os.stat_result, line: str, more: int) -> None:
        """Have room on the disk for a record of so many bytes, and to give all endpoints back behind it."""
        each = _ROOM_EACH + 2 * line.index("\t")
        end = self._at.at + more + _ROOM + each * (len(self.tables.of(ENDPOINTS)) + 1)
        if found.st_blocks << 9 < end:
            _fallocate(self._fd, self._at.at, end + _ROOM - self._at.at)

    def is_overdue(self, times: int, least: int) -> bool:
        """Whether its records above so many are more than one for each KB of it, that many times over.

        Each takes who reads all of it some time, and to write it anew takes time for each KB.
        """
        reader = self._reader
        return reader is not None and (reader.records - least) * times << 10 > reader.at

    def shrink(self) -> None:
        """Write it anew beside it and put that in its place, under the lock, after look(). OSError leaves it as it is.

        Its lock is nobody's afterwards.
        """
        data, reader = whole(self._boot, self.tables)
        endpoints = self.tables.of(ENDPOINTS)
        longest = max(map(len, endpoints), default=0)
        fd = put_anew(Path(self.path), data, _ROOM + (_ROOM_EACH + 2 * longest) * len(endpoints))
        os.close(self._fd)
        found = os.fstat(fd)
        self._fd, self._identity = fd, (found.st_dev, found.st_ino)
        self._stamp = _UNKNOWN  # it has nobody's lock: others may have written to it since it stands there
        self._reader = reader


def locked(path: str, patience: float) -> int:
    """A descriptor of the log at path, which nobody else has locked. CniError 11 after so many seconds."""
    fd, _ = _opened(path)
    try:
        lock_open_file(fd, path, patience)
    except BaseException:
        os.close(fd)
        raise
    return fd


def whole(boot: str, tables: Tables) -> tuple[bytes, records.Reader]:
    """The bytes of a log of these tables, and a reader that has read them."""
    reader, parts = records.Reader(boot), [records.head(boot)]
    for section in tables.sections():
        made, reader.check = records.record(section, reader.check)
        reader.at, reader.records = reader.at + len(made), reader.records + 1
        parts.append(made)
    return b"".join(parts), reader


def put_anew(path: Path, data: bytes, room: int = 0) -> int:
    """Put a log in the place of what is at path, under its lock; an open descriptor. OSError leaves what is there.

    room: bytes that are kept free on the disk behind it.
    """
    atomic.sweep(path)  # who writes one beside it has the lock
    fresh = atomic.beside(path)
    try:
        fd = write_new(fresh, data)
        try:
            if room:
                _fallocate(fd, len(data), room)
            fresh.replace(path)
        except BaseException:
            os.close(fd)
            raise
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fd


def write_new(path: Path, data: bytes) -> int:
    """Write a new file, and leave it open; OSError where all of it can't be written."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(ENOSPC, os.strerror(ENOSPC))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _opened(path: str) -> tuple[int, bool]:
    how = os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe's open would wait for who writes
    try:
        return os.open(path, os.O_RDWR | how), True
    except OSError as e:
        if e.errno != EROFS:
            raise
        return os.open(path, os.O_RDONLY | how), False


def _from(fd: int, at: int, size: int) -> bytes:
    """All bytes of a file from one on; size: of the file, as far as is known. A buffer for more costs more to have."""
    parts = []
    while part := os.pread(fd, wanted := max(size - at, 0) + _MORE, at):
        parts.append(part)
        at += len(part)
        if len(part) < wanted:
            break
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _fallocate(fd: int, at: int, length: int) -> None:
    """Have room on the disk, without a larger file; OSError but where the file system knows no such thing."""
    from ctypes import CDLL, c_int, c_long, get_errno  # who gives back and who asks has no need of it

    if CDLL(None, use_errno=True).fallocate(c_int(fd), c_int(_KEEP_SIZE), c_long(at), c_long(length)):
        e = get_errno()
        if e not in (EOPNOTSUPP, ENOSYS):
            raise OSError(e, os.strerror(e))
