"""The path of a network namespace in, an open one out, and work done inside of it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
        own = Path(_OWN).stat()
        if (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino):
            raise CniError(
                Code.INVALID_ENVIRONMENT, f"{path} is the network namespace of the host, not that of a container"
            )
        yield Netns(path, fd, stat.st_dev, stat.st_ino)
    finally:
        os.close(fd)


def run_in(netns: Netns, work: Callable[[], T]) -> T:
    """Run work in the namespace and return what it returns or raise what it raises.

    A thread of its own goes there and ends: the caller's thread never leaves the host's namespace, so
    no failure can leave it in the wrong one.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def there() -> None:
        try:
            _setns(netns)
            done.append(work())
        except BaseException as e:  # noqa: BLE001 - raised again in the caller's thread
            failed.append(e)

    thread = threading.Thread(target=there, name="netns")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _setns(netns: Netns) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(netns.fd, _CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise CniError(Code.IO, f"can't enter network namespace {netns.path}: {os.strerror(errno)}")


def _is_netns(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
