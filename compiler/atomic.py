"""Bytes in, a file that is there whole or not at all out, also after a power cut; and back: no pipe is waited for.

A file is written beside its place under a name that nobody else uses, is on the disk before it gets its own name, and
has it for certain when the call returns. What a killed writer leaves begins with a dot and ends in 16 hex digits.
"""

from __future__ import annotations

import os
import re
import stat
from errno import EINVAL
from pathlib import Path

_LEFT = re.compile(r"\..+\.[0-9a-f]{16}\Z")


class NoFileError(OSError):
    """What stands there is a folder, a pipe, a device."""


def read(path: Path) -> bytes:
    """A regular file's bytes; OSError where it can't be read, NoFileError of it where something else stands there."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe's open would wait for who writes
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            what = "is a folder, not a file" if stat.S_ISDIR(mode) else "is no regular file"
            raise NoFileError(EINVAL, what, str(path))
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def replace(path: Path, data: bytes, mode: int | None = 0o600) -> None:
    """Put the file in place, or in the place of what is there; OSError leaves what was there.

    mode None: what the umask makes of it.
    """
    fresh = _written(path, data, mode)
    try:
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Put the file in place; False where one is there already, which stays."""
    fresh = _written(path, data, mode)
    try:
        os.link(fresh, path)
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)
    return True


def make_folder(path: Path, mode: int) -> None:
    """The folder and those above it, each on the disk and with this mode whatever the umask; those there stay."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    try:
        path.mkdir(0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(mode)
    sync(path.parent)


def beside(path: Path) -> Path:
    """A name for what is to take this one's place: sweep() knows it where its writer was killed."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def is_left(name: str) -> bool:
    """Whether a file's name is that of one which a killed writer left."""
    return bool(_LEFT.match(name))


def sweep(path: Path) -> None:
    """Take away what a killed writer of this file left beside it; only for who knows that nobody writes it now."""
    for left in path.parent.glob(f".{path.name}.*"):
        if is_left(left.name):
            left.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Names in a folder, as they are now, on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _written(path: Path, data: bytes, mode: int | None) -> Path:
    fresh = beside(path)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            if mode is not None:
                os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh
