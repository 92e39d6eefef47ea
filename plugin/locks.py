"""An attachment's key in, a lock out that only one process of this host holds at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store.protocol import Key


@contextmanager
def attachment_lock(run_dir: Path, key: Key) -> Iterator[None]:
    """Hold the lock of one attachment; waits for whoever works on it. A killed holder lets go by itself.

    There are 256 lock files, chosen by hash, so they need no cleaning: two attachments that share one only wait.
    """
    stripe = hashlib.sha256(f"{key.network}\0{key.container}\0{key.ifname}".encode()).hexdigest()[:2]
    folder = run_dir / "locks"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / stripe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise CniError(Code.IO, f"can not lock the attachment: {e.strerror}", str(e.filename)) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
