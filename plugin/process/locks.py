"""An attachment's key in, a lock out that only one process of this host holds at a time."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EROFS
from pathlib import Path
from types import TracebackType

from calico_rkt.compiler import atomic
from calico_rkt.compiler.digest import sha256
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process.signals import is_undoing_in_haste, stop_if_asked

CALLS, ANYBODY = 60.0, 120.0
"""Seconds that a call, and whoever is none, waits for locks at most: runtimes give up after minutes, people before."""
_LOOKS = 0.02
"""Seconds between two looks at whether a call that waits was asked to end."""
_IN_HASTE = 5.0
"""Seconds that a call which was asked to end waits in order to take back what it has begun; its record stays then."""
_MOST_GIVEN_UP = 64
"""Threads that may wait for nobody; with so many, further callers look again and again instead."""
_given_up: set[threading.Event] = set()
_HERE = threading.local()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """All that this thread waits for locks takes no longer, and ends with CniError 11 then.

    What it has to take back afterwards has some seconds more for each lock.
    """
    _HERE.left = seconds
    try:
        yield
    finally:
        del _HERE.left


def policy_lock(
    run_dir: Path, *, shared: bool = False, patience: float = 0, meanwhile: Callable[[], object] | None = None
) -> _Locked:
    """Hold the lock of what is enforced: shared to attach an endpoint, alone to build, swap or rebuild chains.

    patience as for attachment_lock(); meanwhile: called again and again while somebody else holds it.
    """
    return _Locked(f"{run_dir}/policy.lock", fcntl.LOCK_SH if shared else fcntl.LOCK_EX, patience, meanwhile)


def flows_lock(run_dir: Path) -> _Locked:
    """Hold the lock of who puts guards in place and forgets flows; the policy lock is never asked for inside."""
    return _Locked(f"{run_dir}/flows.lock", fcntl.LOCK_EX)


def networks_lock(run_dir: Path) -> _Locked:
    """Hold the lock of who makes a new network; in a folder of root's, since nobody else may keep him waiting."""
    return _Locked(f"{run_dir}/networks.lock", fcntl.LOCK_EX)


def install_lock(run_dir: Path) -> _Locked:
    """Hold the lock of who installs on this host or takes that back; no other is asked for inside."""
    return _Locked(f"{run_dir}/install.lock", fcntl.LOCK_EX)


def ports_lock(run_dir: Path) -> _Locked:
    """Hold the lock of who looks for a published port and writes down that he has it; no other is asked for inside."""
    return _Locked(f"{run_dir}/ports.lock", fcntl.LOCK_EX)


def attachment_lock(run_dir: Path, key: Key, *, patience: float = 0) -> _Locked:
    """Hold the lock of one attachment; waits for whoever works on it. A killed holder lets go by itself.

    patience: seconds to wait at most before CniError 11; 0: what at_most() says, or ANYBODY.

    There are 256 lock files, chosen by hash, so they need no cleaning: two attachments that share one only wait.
    """
    return _Locked(f"{run_dir}/locks/{_stripe(key)}", fcntl.LOCK_EX, patience)


def chain_lock(run_dir: Path, key: Key, *, patience: float = 0) -> _Locked:
    """The same for who runs all plugins of a network: each of them may take the attachment's own lock inside."""
    return _Locked(f"{run_dir}/locks/chain-{_stripe(key)}", fcntl.LOCK_EX, patience)


def lock_open_file(fd: int, path: str, patience: float) -> None:
    """Have the file at path, which is open, alone. CniError 11 after so many seconds: fd is to be closed then.

    The lock is that of all who have this open file, and goes with the last of them.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(_held(os.dup(fd), fcntl.LOCK_EX, patience, path, None))


def _stripe(key: Key) -> str:
    return sha256(f"{key.network}\0{key.container}\0{key.ifname}".encode()).hexdigest()[:2]


class _Locked:
    """A context in which the file at path is locked; a generator in its place takes longer, twice an attach."""

    __slots__ = ("_fd", "_how", "_meanwhile", "_path", "_patience")

    def __init__(self, path: str, how: int, patience: float = 0, meanwhile: Callable[[], object] | None = None) -> None:
        self._path, self._how, self._patience, self._meanwhile = path, how, patience, meanwhile

    def __enter__(self) -> None:
        path = self._path
        try:
            try:
                fd = _opened(path)
            except FileNotFoundError:
                atomic.make_folder(Path(path).parent, 0o700)
                fd = _opened(path)
            self._fd = _held(fd, self._how, self._patience, path, self._meanwhile)
        except OSError as e:
            raise CniError(Code.IO, f"can not lock {path}: {e.strerror}") from e

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._fd)


def _held(fd: int, how: int, patience: float, path: str, meanwhile: Callable[[], object] | None) -> int:
    """The descriptor with its lock held. CniError 11 when whoever waits was asked to end, or has no patience left."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    else:
        return fd
    waiter = _waiter(fd, how)
    begun = time.monotonic()
    try:
        while not waiter.answered.wait(_LOOKS):
            _wait_on(path, patience, time.monotonic() - begun)
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        waiter.give_up()
        raise
    finally:
        if hasattr(_HERE, "left"):
            _HERE.left -= time.monotonic() - begun
    if waiter.error is not None:
        raise waiter.error
    return fd


def _wait_on(path: str, patience: float, waited: float) -> None:
    """CniError 11 where a call that has waited so long should wait no more."""
    most = min(patience or ANYBODY, max(getattr(_HERE, "left", ANYBODY), _IN_HASTE))
    if is_undoing_in_haste():
        most = patience or _IN_HASTE
    try:
        stop_if_asked()
    except CniError as e:
        raise CniError(e.code, f"{e.msg}, while it waited for {path}", _holders_of(path)) from e
    if waited > most:
        raise CniError(Code.TRY_AGAIN, f"somebody held {path} for {most:.0f} s", _holders_of(path))


def _holders_of(path: str) -> str:
    from calico_rkt.plugin.process.lock_holders import in_words  # for who waits in vain alone

    return in_words(path)


def _waiter(fd: int, how: int) -> _Waiter | _Looker:
    if len(_given_up) < _MOST_GIVEN_UP:
        with suppress(RuntimeError):  # no thread is to be had
            return _Waiter(fd, how)
    return _Looker(fd, how)


class _Waiter:
    """A thread that waits in the kernel's queue, so that the lock comes in turn and at once.

    The kernel lets no thread go that waits there, so one that is not wanted any more closes the descriptor itself.
    """

    def __init__(self, fd: int, how: int) -> None:
        self.answered = threading.Event()
        self.error: OSError | None = None
        self._fd, self._how = fd, how
        self._mutex = threading.Lock()
        self._given_up = False
        threading.Thread(target=self._wait, name="lock", daemon=True).start()

    def _wait(self) -> None:
        try:
            fcntl.flock(self._fd, self._how)
        except OSError as e:
            self.error = e
        with self._mutex:
            if self._given_up or self.error:
                os.close(self._fd)
            self.answered.set()
            _given_up.discard(self.answered)

    def give_up(self) -> None:
        """Nobody waits for it any more; a lock that has just come is let go."""
        with self._mutex:
            self._given_up = True
            if not self.answered.is_set():
                _given_up.add(self.answered)
            elif not self.error:
                os.close(self._fd)


class _Looker:
    """The same without a thread: not in turn, and not at once."""

    def __init__(self, fd: int, how: int) -> None:
        self.answered = self
        self.error: OSError | None = None
        self._fd, self._how = fd, how

    def wait(self, seconds: float) -> bool:
        try:
            fcntl.flock(self._fd, self._how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(seconds)
            return False
        except OSError as e:
            self.error = e
            os.close(self._fd)
        return True

    def give_up(self) -> None:
        os.close(self._fd)


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        if e.errno != EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # what is there can be locked all the same
