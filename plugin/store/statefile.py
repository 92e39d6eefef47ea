"""A path in, transactions on the log of records there out; whatever is wrong with the file is one clear CniError."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.log.file import LogFile, locked, put_anew, whole
from calico_rkt.plugin.store.log.older import KEPT, is_there
from calico_rkt.plugin.store.log.records import DamagedLogError
from calico_rkt.plugin.store.log.tables import Tables

log = logging.getLogger(__name__)

_BUSY_SECONDS = 30.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BEHIND, _IN_A_CALL = (4, 500), (1, 2000)
"""When a log is written anew, behind a call or in it; see LogFile.is_overdue()."""


class StateFile:
    """The state file of this host, opened when it is first needed, usable from any thread.

    It belongs to one boot: containers don't outlive a reboot, and where /run does, the records of an earlier boot
    count for nothing. A file that is damaged, foreign or of another version is never replaced. What an older build has
    left is taken over by who comes first, reading or writing (log/takeover.py).
    """

    def __init__(self, path: Path) -> None:
        self.path, self._place, self._folder = path, str(path), str(path.parent)
        self._lock = threading.Lock()
        self._turn = _Turn(self._lock, path)
        self._file: LogFile | None = None
        self._process, self._user = _forks, os.geteuid()

    def write(self, *, again: bool = False) -> _Writing:
        """One transaction that changes something: all of it, or on any error nothing.

        again: of a call whose earlier one has looked whether others may write to the folder.
        """
        return _Writing(self, self._turn, again=again)

    def _begun(self, *, again: bool) -> tuple[LogFile, os.stat_result]:
        file, found = self._taken(again=again)
        file.tables.begin()
        return file, found

    def _ended(self, file: LogFile, found: os.stat_result, *, failed: bool) -> None:
        tables, recorded = file.tables, False
        try:
            try:
                if not failed and tables.lines:
                    file.append(found)
                recorded = not failed
            finally:
                if not recorded and not tables.undo():
                    file.forget()
            if recorded:
                tables.begin()
                self._shrink(file, *_IN_A_CALL)
        finally:
            self._free(file)

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """One view of the file that later writes don't change. It takes no lock, and makes no file."""
        with self._turn:
            try:
                tables = self._looked()
            except DamagedLogError:  # or somebody wrote just now
                with self._locked() as file:
                    tables = file.tables
            yield tables

    def tidy(self) -> None:
        """Write the log anew where it is much longer than it needs to be: for who has time."""
        file = self._file  # another thread may let go of it just now
        if file is not None and file.is_overdue(*_BEHIND):
            with self._turn, self._locked() as file:
                self._shrink(file, *_BEHIND)

    def to_older_builds(self) -> bool:
        """Give all records to builds that know no log (log/takeover.py); False where there are none."""
        from calico_rkt.plugin.store.log import takeover

        if not self.is_there():
            return False
        with self._turn, self._locked() as file:
            takeover.hand_back(self.path, boot_id(), file.tables)
            self._close()
        return True

    def is_there(self) -> bool:
        """Whether this host has recorded anything since it booted, by this build or an older one; makes no file."""
        return os.access(self._place, os.F_OK) or is_there(self.path)

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._lock:
            self._close()

    def _looked(self) -> Tables:
        """The tables as they are now."""
        while True:
            try:
                found = os.stat(self._place)  # noqa: PTH116 - each ADD and DEL
                self._check_folder()
                file = self._opened()
                if file.is_at(found):
                    return file.look(found)
                self._close()
            except FileNotFoundError:
                self._close()
                if not self._settled(make=False):
                    return Tables()

    @contextmanager
    def _locked(self) -> Iterator[LogFile]:
        """The file, which nobody else writes to meanwhile."""
        file, _ = self._taken()
        try:
            yield file
        finally:
            self._free(file)

    def _free(self, file: LogFile) -> None:
        if self._file is file and not file.unlock():
            self._close()

    def _taken(self, *, again: bool = False) -> tuple[LogFile, os.stat_result]:
        """The file, locked, and what stands at its path: both are one, and all of it is known."""
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                file = self._opened()
                if not file.lock():
                    waited_for = self._waited_for(until)
                    if waited_for is None:
                        continue
                    file = waited_for
                found = os.stat(self._place)  # noqa: PTH116 - as above
                if not again:
                    self._check_folder()
                if file.is_at(found):
                    file.look(found)
                    if not file.is_old:
                        return file, file.cut(found)
                    log.info("%s is of an earlier boot: its records are dropped", self.path)
                    os.close(put_anew(self.path, whole(boot_id(), Tables())[0]))
                self._close()
            except FileNotFoundError:
                self._close()
                self._settled(make=True)
            except BaseException:
                self._close()
                raise

    def _waited_for(self, until: float) -> LogFile | None:
        """The file, locked, when its turn has come: other threads read it meanwhile. None where it is no longer it."""
        self._lock.release()
        try:
            fd = locked(self._place, max(until - time.monotonic(), 0.01))
        finally:
            self._lock.acquire()
        try:
            file = self._opened()
            if file.lock_by(fd):
                return file
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        self._close()
        return None

    def _opened(self) -> LogFile:
        """The open file; what a fork has left of its parent's is not used."""
        if self._process != _forks:
            self._close()
            self._process = _forks
        if self._file is None:
            self._file = LogFile(self._place, boot_id())
        return self._file

    def _settled(self, *, make: bool) -> bool:
        from calico_rkt.plugin.store.log import takeover

        if make:
            atomic.make_folder(self.path.parent, 0o700)
            self._check_folder()
        return takeover.settled(self.path, boot_id(), make=make)

    def _shrink(self, file: LogFile, times: int, least: int) -> None:
        if file.is_overdue(times, least):
            try:
                file.shrink()
            except OSError as e:  # what was to be recorded is
                log.info("%s stays as long as it is: %s", self.path, e.strerror)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _check_folder(self) -> None:
        found = os.stat(self._folder)  # noqa: PTH116 - as above
        if found.st_uid != self._user or found.st_mode & 0o022:
            raise CniError(
                Code.IO,
                f"others may write to {self.path.parent}, which holds the state file",
                f"chown root {self.path.parent} && chmod 700 {self.path.parent}",
            )


class _Writing:
    """A transaction of a state file, in the turn of this thread; a generator in its place takes longer."""

    __slots__ = ("_again", "_file", "_found", "_state", "_turn")

    def __init__(self, state: StateFile, turn: _Turn, *, again: bool) -> None:
        self._state, self._turn, self._again = state, turn, again

    def __enter__(self) -> Tables:
        self._turn.__enter__()
        try:
            self._file, self._found = self._state._begun(again=self._again)  # noqa: SLF001 - a part of it
        except BaseException as e:
            self._turn.__exit__(type(e), e, e.__traceback__)
            raise
        return self._file.tables

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._state._ended(self._file, self._found, failed=error is not None)  # noqa: SLF001 - as above
        except BaseException as e:
            self._turn.__exit__(type(e), e, e.__traceback__)
            raise
        self._turn.__exit__(kind, error, tb)


class _Turn:
    """The turn of a thread with a state file; what is wrong with the file meanwhile is a CniError.

    Nobody waits longer for it than one waits for another process.
    """

    def __init__(self, lock: threading.Lock, path: Path) -> None:
        self._lock, self._path = lock, path

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_BUSY_SECONDS):
            from calico_rkt.plugin.process.lock_holders import in_words  # for who waits in vain alone

            words = f"the state file {self._path} was locked for {_BUSY_SECONDS:.0f} s"
            raise CniError(Code.TRY_AGAIN, words, in_words(str(self._path)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._lock.release()
        if isinstance(error, DamagedLogError):
            raise CniError(Code.IO, f"the state file {self._path} can't be used: {error}", KEPT) from error
        if isinstance(error, OSError):
            raise CniError(Code.IO, f"the state file {self._path} can't be used: {error.strerror or error}") from error


_warm: dict[Path, StateFile] = {}
_warm_lock = threading.Lock()
_forks = 0


def warm(path: Path) -> StateFile:
    """The one StateFile of this process for a path, which stays open between calls."""
    found = _warm.get(path)
    if found is not None:
        return found
    with _warm_lock:
        return _warm.setdefault(path, StateFile(path))


def tidy() -> None:
    """Write what this process has open anew where that is due; behind a call's answer, so that nothing fails for it."""
    for state in tuple(_warm.values()):
        try:
            state.tidy()
        except CniError as e:
            log.info("%s stays as long as it is: %s", state.path, e.msg)


def boot_id() -> str:
    """The kernel's id of this boot."""
    return _BOOT_ID.read_text().strip()


def _forked() -> None:
    global _forks  # noqa: PLW0603 - a fork has its parent's files, and their locks
    _forks += 1


os.register_at_fork(after_in_child=_forked)
