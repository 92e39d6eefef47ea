"""The path of a network namespace in, an open one out, and work done inside of it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from typing import TypeVar

from calico_rkt.plugin.result import CniError, Code

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_OWN = "/proc/thread-self/ns/net"


@dataclass(frozen=True, slots=True)
class Netns:
    """An open network namespace. fd is open for as long as open_netns() holds it; dev and inode are its identity."""

    path: str
    fd: int
    dev: int
    inode: int


@contextmanager
def open_netns(path: str, opened: int = -1) -> Iterator[Netns]:
    """Open the namespace at path, or take it as a descriptor where the caller has opened it.

    CniError 3 when it is gone or is no network namespace, 4 when it is the one that this plugin runs in:
    a mistake there would rewire the host.
    """
    try:
        # A FIFO in the place of a namespace must not hold the plugin up.
        fd = os.dup(opened) if opened >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise CniError(Code.UNKNOWN_CONTAINER, f"network namespace {path} can't be opened: {reason}") from e
    try:
        if not _is_netns(fd):
            raise CniError(
                Code.UNKNOWN_CONTAINER,
                f"{path} is no network namespace",
                "the file is there, but no namespace is mounted on it; the container has probably gone",
            )
        stat = os.fstat(fd)
        own = os.stat(_OWN)  # noqa: PTH116 - twice as fast, at every attach
        if (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino):
            raise CniError(
                Code.INVALID_ENVIRONMENT, f"{path} is the network namespace of the host, not that of a container"
            )
        yield Netns(path, fd, stat.st_dev, stat.st_ino)
    finally:
        os.close(fd)


def run_in(netns: Netns, work: Callable[[], T]) -> T:
    """Run work in the namespace and return what it returns or raise what it raises.

    A thread of its own goes there: the caller's thread never leaves the host's namespace, so no failure can leave it
    in the wrong one. The thread comes back and waits for the next call; one that can't come back ends.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    done: list[T] = []
    failed = worker.ask(netns, lambda: done.append(work()))
    if worker.is_home and len(_idle) < _KEPT:
        _idle.append(worker)
    else:
        worker.end()
    if failed is not None:
        raise failed
    return done[0]


class _Worker:
    """A thread that goes into one namespace after the other, each time from the one that it was started in."""

    def __init__(self) -> None:
        self.is_home = True
        self._asked: SimpleQueue[tuple[Netns, Callable[[], None]] | None] = SimpleQueue()
        self._answered: SimpleQueue[BaseException | None] = SimpleQueue()
        self._home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        threading.Thread(target=self._serve, name="netns", daemon=True).start()

    def ask(self, netns: Netns, work: Callable[[], None]) -> BaseException | None:
        self._asked.put((netns, work))
        return self._answered.get()

    def end(self) -> None:
        self._asked.put(None)

    def _serve(self) -> None:
        try:
            while self.is_home and (asked := self._asked.get()) is not None:
                self._answered.put(self._there(*asked))
        finally:
            os.close(self._home)

    def _there(self, netns: Netns, work: Callable[[], None]) -> BaseException | None:
        try:
            _setns(netns.fd, netns.path)
        except CniError as e:
            return e
        try:
            work()
        except BaseException as e:  # noqa: BLE001 - raised again in the caller's thread
            return e
        finally:
            try:
                _setns(self._home, _OWN)
            except CniError:
                self.is_home = False
        return None


_KEPT = 64
_idle: list[_Worker] = []


def _forget_workers() -> None:
    """Threads don't outlive a fork."""
    _idle.clear()


os.register_at_fork(after_in_child=_forget_workers)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _setns(fd: int, path: str) -> None:
    if _libc().setns(fd, _CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise CniError(Code.IO, f"can't enter network namespace {path}: {os.strerror(errno)}")


def _is_netns(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
