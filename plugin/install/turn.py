"""A root in, a time in which nobody else installs there or takes back what was installed, out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.locks import ANYBODY, install_lock, lock_open_file
from calico_rkt.plugin.store.folders import folders


@contextmanager
def alone(root: str) -> Iterator[None]:
    """Wait for whoever is at work there, from his first look to his last file; CniError 11 after ANYBODY seconds.

    What is locked for a folder is the folder itself: nothing is left in it. On this host it is a file of root's, whom
    nobody else may keep waiting; who is not root has no turn, and is refused for what he can't write.
    """
    if not root:
        if os.geteuid():
            yield
            return
        with install_lock(folders()[0]):
            yield
        return
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise CniError(Code.IO, f"can not read {root}: {e.strerror}") from e
    try:
        lock_open_file(fd, root, ANYBODY)
        yield
    finally:
        os.close(fd)
