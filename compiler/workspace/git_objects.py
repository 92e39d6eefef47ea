"""A git repository and an object's id in, the object's bytes out; what is not here is an error, and never fetched."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from errno import EIO
from pathlib import Path
from typing import IO

from calico_rkt.compiler.text.nodes import LARGEST

_HASHES = {40: hashlib.sha1, 64: hashlib.sha256}
"""By the length of an object's name, which is the hash of what it is, how long, and its bytes."""
REGULAR, EXECUTABLE, LINK, FOLDER, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o040000, 0o160000


class Objects:
    """The objects of one repository, by one git process that answers question after question.

    git_dirs are the folders where git keeps them, and those of the repository's submodules.
    """

    def __init__(self, cwd: Path, environ: Mapping[str, str], git_dirs: tuple[Path, ...]) -> None:
        self.cwd = cwd
        self.environ = environ
        self.git_dirs = git_dirs
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, dict[str, tuple[int, str]]] = {}

    def read(self, name: str, most: int = LARGEST + 1) -> bytes:
        """The object's bytes; of one that is too large only as much as its reader needs to say so.

        OSError, with words, for one that is not here.
        """
        process = self._process or self._start()
        stdin, stdout = _pipes(process)
        head = b""
        with contextlib.suppress(BrokenPipeError):
            stdin.write(f"{name}\n".encode())
            stdin.flush()
            head = stdout.readline()
        parts = head.split()
        if len(parts) != 3:
            if not head:  # where an object is promised by another host, git ends when it may not ask there
                self.close()
            cure = "where it is a partial one: git fetch --refetch --no-filter"
            raise OSError(EIO, f"its object {name[:10]} is not in this clone, or is damaged ({cure})")
        size = int(parts[2])
        data = stdout.read(min(size, most))
        found = _HASHES[len(name)](b"%s %d\0" % (parts[1], size), usedforsecurity=False)
        found.update(data)
        left = size + 1 - len(data)
        while left:
            more = stdout.read(min(left, 1 << 20))
            if not more:  # git ended in the middle of it: what it has of the object is damaged
                self.close()
                raise _damaged(name)
            left -= len(more)
            found.update(more if left else more[:-1])  # behind the object git writes a newline
        if found.hexdigest() != name:  # git does not look
            raise _damaged(name)
        return data

    def has(self, commit: str) -> bool:
        try:
            self.read(commit)
        except OSError:
            return False
        return True

    def tree_of(self, commit: str) -> str:
        """The id of a commit's tree."""
        return self.read(commit).split(b"\n", 1)[0].removeprefix(b"tree ").decode()

    def entries(self, tree: str) -> dict[str, tuple[int, str]]:
        """What stands in a tree: mode and id by name. OSError for one in which a name stands twice, or that is none."""
        if tree not in self._trees:
            try:
                found = list(_entries(self.read(tree, sys.maxsize), len(tree) // 2))
            except ValueError:
                raise _damaged(tree) from None
            if len(there := dict(found)) < len(found):  # which of the two a checkout has, nobody can say
                raise _damaged(tree)
            self._trees[tree] = there
        return self._trees[tree]

    def close(self) -> None:
        """End the process; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            for pipe in _pipes(process):
                with contextlib.suppress(OSError):
                    pipe.close()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            ["git", "--no-replace-objects", "cat-file", "--batch"],
            cwd=self.cwd,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process


def _damaged(name: str) -> OSError:
    return OSError(EIO, f"its object {name[:10]} is damaged: git fsck says more")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _entries(data: bytes, length: int) -> Iterator[tuple[str, tuple[int, str]]]:
    """A tree as git stores it: "MODE NAME", a zero byte and the id's bytes, again and again; else ValueError."""
    at = 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        at = end + 1 + length
        if at > len(data):
            raise ValueError
        yield os.fsdecode(name), (int(mode, 8), data[end + 1 : at].hex())
