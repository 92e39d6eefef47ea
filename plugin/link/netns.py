"""The path of a network namespace in, an open one out, and work done inside of it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import TracebackType

from calico_rkt.compiler.typed import TypeVar
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.errors import CniError, Code

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_OWN = "/proc/thread-self/ns/net"
_HERE = threading.local()
_ATTEMPTS, _SECONDS_BETWEEN = 5, 0.01
LOST = 70
"""Exit status of a process that can't come back from a container's namespace (EX_SOFTWARE of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Netns:
    """An open network namespace. fd is open for as long as open_netns() holds it; dev and inode are its identity."""

    path: str
    fd: int
    dev: int
    inode: int


class open_netns:  # noqa: N801 - used as a function, which takes longer, at every attach
    """Open the namespace at path, or take it as a descriptor where the caller has opened it, which stays the caller's.

    CniError 3 when it is gone or is no network namespace, 4 when it is the one that this plugin runs in:
    a mistake there would rewire the host.
    """

    def __init__(self, path: str, opened: int = -1) -> None:
        self._path, self._opened = path, opened

    def __enter__(self) -> Netns:
        path = self._path
        try:
            # A FIFO in the place of a namespace must not hold the plugin up.
            fd = self._opened if self._opened >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as e:
            reason = getattr(e, "strerror", None) or str(e)
            raise CniError(Code.UNKNOWN_CONTAINER, f"network namespace {path} can't be opened: {reason}") from e
        self._fd = fd
        try:
            return _looked_at(path, fd)
        except BaseException:
            self._close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        if self._fd != self._opened:
            os.close(self._fd)


def _looked_at(path: str, fd: int) -> Netns:
    if not _is_netns(fd):
        raise CniError(
            Code.UNKNOWN_CONTAINER,
            f"{path} is no network namespace",
            "the file is there, but no namespace is mounted on it; the container has probably gone",
        )
    stat = os.fstat(fd)
    if (stat.st_dev, stat.st_ino) == process_in_netns()[1:]:
        raise CniError(
            Code.INVALID_ENVIRONMENT, f"{path} is the network namespace of the host, not that of a container"
        )
    return Netns(path, fd, stat.st_dev, stat.st_ino)


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None where nothing is."""
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast, at every attach
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def by_descriptor(fd: int) -> str:
    """A path to the namespace that an open descriptor holds; whoever opened it may have looked where we may not."""
    return f"/proc/self/fd/{fd}"


def may_look(path: str) -> bool:
    """Whether this process may ask what is at a path: the kernel shows `/proc/PID/ns/net` to who may trace PID alone.

    Without CAP_SYS_PTRACE, as the agent's unit leaves it, that is nobody with fewer capabilities than PID.
    """
    try:
        os.stat(path)  # noqa: PTH116 - as above
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return True


def process_in_netns() -> tuple[int, int, int]:
    """What tells this process in this thread's network namespace from any other: its number, device and inode."""
    return getattr(_HERE, "place", None) or _looked_up()


@contextmanager
def staying() -> Iterator[None]:
    """Promise that this thread goes to other namespaces by run_in() alone, and that no child of a fork asks.

    So it need not look where it is, ten times a call; a descriptor of its namespace stays open meanwhile.
    """
    _HERE.place, _HERE.home = _looked_up(), os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _HERE.place = None
        os.close(_HERE.home)


def _looked_up() -> tuple[int, int, int]:
    net = os.stat(_OWN)  # noqa: PTH116 - twice as fast, at every attach
    return os.getpid(), net.st_dev, net.st_ino


def run_in(netns: Netns, work: Callable[[], T]) -> T:
    """Run work in the namespace and return what it returns or raise what it raises.

    The calling thread goes there and comes back; no other thread notices. One that can't come back would take the
    container for the host, so the process ends at once then, as by SIGKILL, which leaves nothing that isn't taken back.
    """
    known = getattr(_HERE, "place", None)
    home = _HERE.home if known else os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(netns.fd, netns.path)
        _HERE.place = None
        try:
            return work()
        finally:
            _come_back(home)
            _HERE.place = known
    finally:
        if not known:
            os.close(home)


def _come_back(home: int) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            _setns(home, _OWN)
        except CniError as e:  # without memory for a moment
            time.sleep(_SECONDS_BETWEEN * attempt)
            why = e.msg
        else:
            return
    print(f"calico: {why}; ended, so that nothing is done in the wrong place", file=sys.stderr, flush=True)
    os._exit(LOST)


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
