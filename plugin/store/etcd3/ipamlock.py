"""The lock file that stock calico-ipam holds on a host while it chooses addresses: who waits needs no second try."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.plugin.process.log import LOG

LOCK_FILE = "/var/run/calico/ipam.lock"
"""CALICO_IPAM_LOCK_FILE names another, where the stock plugin's conf has ipam_lock_file."""
_PAUSE = 0.002


@contextmanager
def ipam_lock(seconds: float) -> Iterator[None]:
    """Hold the lock, or go on without it after so long: every write is compared with what was read anyway."""
    fd = _opened(Path(os.environ.get("CALICO_IPAM_LOCK_FILE") or LOCK_FILE))
    if fd is None:
        yield
        return
    try:
        until = time.monotonic() + seconds / 2
        while not _locked(fd):
            if time.monotonic() > until:
                LOG.warning("Calico's IPAM lock is held by somebody for %.0f s: going on without it", seconds / 2)
                break
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(fd)


def _opened(path: Path) -> int | None:
    try:
        atomic.make_folder(path.parent, 0o755)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        LOG.info("Calico's IPAM lock %s can't be had: %s", path, e)
        return None


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
