"""An attachment's key in, a lock out that only one process of this host holds at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store.protocol import Key

_PAUSE = 0.02


@contextmanager
def policy_lock(
    run_dir: Path, *, shared: bool = False, meanwhile: Callable[[], object] | None = None
) -> Iterator[None]:
    """Hold the lock of what is enforced: shared to attach an endpoint, alone to build, swap or rebuild chains.

    meanwhile: called again and again while somebody else holds it.
    """
    with _locked(run_dir / "policy.lock", fcntl.LOCK_SH if shared else fcntl.LOCK_EX, meanwhile=meanwhile):
        yield


@contextmanager
def attachment_lock(run_dir: Path, key: Key, *, patience: float = 0) -> Iterator[None]:
    """Hold the lock of one attachment; waits for whoever works on it. A killed holder lets go by itself.

    patience: seconds to wait at most before CniError 11; 0 waits for as long as it takes.

    There are 256 lock files, chosen by hash, so they need no cleaning: two attachments that share one only wait.
    """
    stripe = hashlib.sha256(f"{key.network}\0{key.container}\0{key.ifname}".encode()).hexdigest()[:2]
    with _locked(run_dir / "locks" / stripe, fcntl.LOCK_EX, patience):
        yield


@contextmanager
def _locked(path: Path, how: int, patience: float = 0, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
    try:
        try:
            fd = _opened(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = _opened(path)
    except OSError as e:
        raise CniError(Code.IO, f"can not lock {path}: {e.strerror}") from e
    try:
        if patience or meanwhile:
            _wait(fd, how, patience or float("inf"), path, meanwhile)
        else:
            fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, how: int, patience: float, path: Path, meanwhile: Callable[[], object] | None) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if time.monotonic() > until:
                raise CniError(Code.TRY_AGAIN, f"somebody held {path} for {patience:.0f} s") from e
        if meanwhile is not None:
            meanwhile()
        time.sleep(_PAUSE)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
