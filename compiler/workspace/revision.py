"""A git revision and a folder in, the workspace that the folder was in that revision out; no checkout is touched."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from stat import S_ISDIR
from typing import NoReturn

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.workspace.assemble import Workspace, assemble
from calico_rkt.compiler.workspace.folder import listing
from calico_rkt.compiler.workspace.git import Git
from calico_rkt.compiler.workspace.git_tree import InRevision, Tree
from calico_rkt.compiler.workspace.overrides import read_inside


def open_revision(revision: str, folder: Path, profiles: Path | None = None) -> Workspace:
    """The workspace of a folder of a git repository as it was in a revision (a branch, tag, commit, `HEAD~2`).

    profiles: a folder that somebody named for the overrides, as it was in that revision, too.

    Raises CompileError: CR713 for git itself (not there, no repository, its own error), CR714, CR740 or CR741 for a
    revision that is not there, or not one, CR715 for one without the folder; else as open_folder.
    """
    git = Git(folder)
    tree = Tree(git, revision, git.commit(revision))
    try:
        here, chosen = (tree.place(git.inside(f), str(f)) if f is not None else None for f in (folder, profiles))
        assert here is not None
        for place, named in ((here, folder), (chosen, profiles)):
            if place is not None and named is not None:
                _look(tree, place, git.inside(named), named)
        return assemble(str(here), listing(here, chosen), "revision", partial(read_inside, here))
    finally:
        tree.close()


def _look(tree: Tree, place: InRevision, inside: str, named: Path) -> None:
    """CompileError (CR715) where the revision has no such folder; what can't be followed is told by who reads it."""
    try:
        if S_ISDIR(place.stat().st_mode):
            return
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        return
    _missing(tree, inside, named)


def _missing(tree: Tree, inside: str, named: Path) -> NoReturn:
    parent, _, name = inside.rpartition("/")
    beside: list[str] = []
    with suppress(OSError):
        beside = [p.name for p in tree.place(parent, ".").iterdir() if p.is_dir()]
    same = [n for n in beside if n.casefold() == name.casefold()]
    near = same or get_close_matches(name, beside, n=1)
    hint = f"did you mean {near[0]}?" if near else "it came later, or was called otherwise"
    message = f"the revision {tree.revision!r} has no folder {inside or '.'}"
    raise CompileError([error("CR715", message, path=str(named), hint=hint)])


def is_revision(text: str, folder: Path) -> bool:
    """Whether git knows a commit by this name, or several, where folder is in a repository."""
    try:
        Git(folder).commit(text)
    except CompileError as e:
        return any(d.code == "CR741" for d in e.diagnostics)
    return True
