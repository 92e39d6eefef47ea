"""A commit in, its files out as a checkout of it would have them: links and submodules are followed inside of it.

What leads anywhere else, or is not in this clone, is an OSError whose words name it.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import EISDIR, ELOOP, ENOENT, ENOTDIR, EXDEV
from io import BytesIO
from pathlib import Path, PurePosixPath
from stat import S_IFDIR, S_IFREG
from typing import BinaryIO, Literal

from calico_rkt.compiler.workspace.files import update_submodule
from calico_rkt.compiler.workspace.git import Git, clean, git_dirs
from calico_rkt.compiler.workspace.git_objects import EXECUTABLE, FOLDER, LINK, REGULAR, SUBMODULE, Objects

_MOST_LINKS = 40
"""As Linux has it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something in the tree: where it stands from the top, without links, and the repository that holds it.

    top is the topmost entry of that repository, None for itself.
    """

    path: str
    mode: int
    name: str
    objects: Objects
    top: _Entry | None = None

    def below(self, part: str, mode: int, name: str) -> _Entry:
        return _Entry(f"{self.path}/{part}".lstrip("/"), mode, name, self.objects, self.top or self)


class Tree:
    """The files of a commit. revision is what people call it."""

    def __init__(self, git: Git, revision: str, commit: str) -> None:
        self.revision = revision
        self._git = git
        self._submodules: dict[tuple[str, str], Objects] = {}
        objects = Objects(git.cwd, git.environ, (git.git_dir, git.common))
        self._opened = [objects]
        try:
            self._top = _Entry("", FOLDER, objects.tree_of(commit), objects)
        except OSError as e:
            self.close()
            git.failed(f"the revision {revision!r} can't be read: {e.strerror}")

    def close(self) -> None:
        for objects in self._opened:
            objects.close()

    def place(self, path: str, shown: str) -> InRevision:
        """The place of a path from the top, which people call `shown`."""
        return InRevision(self, path, PurePosixPath(shown))

    def find(self, path: str) -> _Entry:
        """What stands at a path, as the kernel resolves it: never a link or a submodule itself."""
        if path.startswith("/"):
            raise OSError(EXDEV, f"{path} is out of the repository")
        way = [self._top]
        todo = deque(path.split("/"))
        followed: list[tuple[str, str]] = []
        from_links = 0  # so many of the next parts are no part of the path itself
        while todo:
            part, here = todo.popleft(), way[-1]
            of_a_link, from_links = from_links > 0, max(from_links - 1, 0)
            if here.mode != FOLDER:
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
            if part in ("", "."):
                continue
            if part == "..":
                if here is self._top:
                    raise OSError(EXDEV, _through(followed if of_a_link else [], "leads out of the repository"))
                way.pop()
                continue
            mode, name = here.objects.entries(here.name).get(part, (0, ""))
            entry = here.below(part, mode, name)
            if mode == LINK:
                parts = self._target(entry, followed).split("/")
                todo.extendleft(reversed(parts))
                from_links += len(parts)
            elif mode:
                way.append(self._submodule(entry) if mode == SUBMODULE else entry)
            elif of_a_link:  # a link that leads nowhere is never a file that simply is not there
                raise OSError(EXDEV, _through(followed, f"leads to {entry.path}, which is not in this revision"))
            else:
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        return way[-1]

    def is_link(self, path: str) -> bool:
        """Whether the path itself is a link."""
        parent, _, part = path.rpartition("/")
        with suppress(OSError):
            here = self.find(parent)
            return here.objects.entries(here.name).get(part, (0, ""))[0] == LINK
        return False

    def _target(self, link: _Entry, followed: list[tuple[str, str]]) -> str:
        """Where a link leads; followed gets it."""
        target = os.fsdecode(link.objects.read(link.name))
        followed.append((link.path, target))
        if len(followed) > _MOST_LINKS:
            raise OSError(ELOOP, f"{followed[0][0]} is a link that leads back to itself")
        if target.startswith("/"):
            words = "leads out of the repository: a revision has no absolute paths"
            raise OSError(EXDEV, _through(followed, words))
        return target

    def _submodule(self, entry: _Entry) -> _Entry:
        """The top of a submodule at the commit that the revision records."""
        key = entry.path, entry.name
        if key not in self._submodules:
            for objects in self._clones(entry):
                if objects.has(entry.name):
                    self._submodules[key] = objects
                    break
            else:
                words = f"{entry.path} is a submodule, and its commit {entry.name[:10]} is not in this clone: "
                raise OSError(EXDEV, words + self._cure(entry))
        objects = self._submodules[key]
        return _Entry(entry.path, FOLDER, objects.tree_of(entry.name), objects)

    def _cure(self, entry: _Entry) -> str:
        """The command that fetches a submodule, from where the caller is."""
        inside = (entry.top or self._top).path
        return update_submodule(self._git.top / inside, entry.path.removeprefix(f"{inside}/"))

    def _clones(self, entry: _Entry) -> Iterator[Objects]:
        """Where a submodule's objects may be: at its folder in the checkout, among the modules, in the repository."""
        folder, environ = self._git.top / entry.path, clean(self._git.environ)
        if (folder / ".git").exists():
            yield self._open(folder, environ, tuple(git_dirs(folder, environ)))
        for name in dict.fromkeys((self._name(entry), entry.path)):
            for base in entry.objects.git_dirs:
                module = base / "modules" / name
                if ".." not in name.split("/") and (module / "HEAD").is_file():
                    # Its work tree may be gone, and git would want to go there.
                    yield self._open(module, environ | {"GIT_WORK_TREE": str(module)}, (module,))
        yield entry.objects

    def _open(self, folder: Path, environ: dict[str, str], where: tuple[Path, ...]) -> Objects:
        objects = Objects(folder, environ, where)
        self._opened.append(objects)
        return objects

    def _name(self, entry: _Entry) -> str:
        """A submodule's name, which the .gitmodules of its repository gives to its path there."""
        top = entry.top or self._top
        path = entry.path.removeprefix(f"{top.path}/")
        mode, name = entry.objects.entries(top.name).get(".gitmodules", (0, ""))
        text = os.fsdecode(entry.objects.read(name)) if mode in (REGULAR, EXECUTABLE) else ""
        for section in re.split(r"(?m)^\s*\[submodule\s", text)[1:]:
            called, _, rest = section.partition("]")
            if re.search(rf"(?m)^\s*path\s*=\s*\"?{re.escape(path)}\"?\s*$", rest):
                return called.strip().strip('"')
        return path


def _through(followed: list[tuple[str, str]], words: str) -> str:
    """The words, with the link that led there."""
    return f"{followed[-1][0]} is a link to {followed[-1][1]}, which {words}" if followed else f"the path {words}"


class InRevision:
    """A path of a revision, with as much of pathlib.Path as the readers of a folder ask for."""

    def __init__(self, tree: Tree, path: str, shown: PurePosixPath) -> None:
        self._tree = tree
        self._path = path
        self._shown = shown

    def __str__(self) -> str:
        return f"{self._tree.revision}:{self._shown}"

    def __truediv__(self, inside: str) -> InRevision:
        path = f"{self._path}/{inside}" if self._path and not inside.startswith("/") else inside
        return InRevision(self._tree, path, self._shown / inside)

    @property
    def name(self) -> str:
        return self._shown.name

    @property
    def suffix(self) -> str:
        return self._shown.suffix

    @property
    def parents(self) -> tuple[InRevision, ...]:
        return ()

    def iterdir(self) -> Iterator[InRevision]:
        found = self._tree.find(self._path)
        if found.mode != FOLDER:
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
        return iter([self / name for name in found.objects.entries(found.name)])

    def stat(self) -> os.stat_result:
        mode = self._tree.find(self._path).mode
        return os.stat_result(((S_IFDIR | 0o755) if mode == FOLDER else mode | S_IFREG, *[0] * 9))

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        del mode
        found = self._tree.find(self._path)
        if found.mode == FOLDER:
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        return BytesIO(found.objects.read(found.name))

    def is_symlink(self) -> bool:
        return self._tree.is_link(self._path)

    def is_dir(self) -> bool:
        with suppress(OSError):
            return self._tree.find(self._path).mode == FOLDER
        return False

    def is_file(self) -> bool:
        with suppress(OSError):
            return self._tree.find(self._path).mode != FOLDER
        return False

    def exists(self) -> bool:
        return self.is_dir() or self.is_file()
