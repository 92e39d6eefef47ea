"""A git revision and a folder in, the workspace that the folder was in that revision out; no checkout is touched."""

from __future__ import annotations

import os
import subprocess
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NoReturn

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.source import LARGEST
from calico_rkt.compiler.workspace.confs import is_conf_name
from calico_rkt.compiler.workspace.files import BASELINE, PROFILES, SUFFIXES
from calico_rkt.compiler.workspace.reader import Listing, Workspace, assemble

CONFS = "confs"
_REGULAR = ("100644", "100755")
_SAFE = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C"}
"""git asks nobody, changes nothing, and speaks the language that its messages are known in."""


def open_revision(revision: str, folder: Path, profiles: Path | None = None) -> Workspace:
    """The workspace of a folder of a git repository as it was in a revision (a branch, tag, commit, `HEAD~2`).

    profiles: a folder that somebody named for the overrides, as it was in that revision, too.

    Raises CompileError: CR713 for git itself (not there, no repository, its own error), CR714 for a revision that
    is not there, CR715 for one without the folder; else as open_folder.
    """
    git = _Git(folder)
    commit = git.commit(revision)
    inside = git.inside()
    # A bare repository's whole tree is its top; a path of the tree has no trailing slash otherwise.
    where = f"{revision}:{folder}"
    tree = git.tree(commit, inside)
    if tree is None:
        message = f"the revision {revision!r} has no folder {inside or '.'}"
        raise CompileError([error("CR715", message, path=str(folder), hint="it came later, or was called otherwise")])
    if profiles is not None:
        tree = [e for e in tree if not e[3].startswith(f"{PROFILES}/")] + git.chosen(commit, profiles, revision)
    found: list[Diagnostic] = []
    wanted: dict[str, tuple[str, str]] = {}
    others: list[str] = []
    for mode, kind, blob, name in tree:
        shown = f"{revision}:{PurePosixPath(folder) / name}"
        if profiles is not None and name.startswith(f"{PROFILES}/"):
            shown = f"{revision}:{PurePosixPath(profiles) / name.removeprefix(f'{PROFILES}/')}"
        parent, leaf = name.rsplit("/", 1) if "/" in name else ("", name)
        is_conf = not parent and is_conf_name(leaf)
        if parent == PROFILES:
            others.append(shown)
        is_baseline = name == BASELINE
        is_profile = parent == PROFILES and leaf.endswith(SUFFIXES)
        if not is_conf and (leaf.startswith(".") or not (is_profile or is_baseline)):
            continue
        if kind != "blob" or mode not in _REGULAR:
            what = "a submodule" if kind == "commit" else "a symbolic link"
            found.append(error("CR708", f"{what} in this revision, no regular file", path=shown))
            continue
        wanted[shown] = (blob, CONFS if is_conf else BASELINE if is_baseline else PROFILES)
    data = git.blobs([blob for blob, _ in wanted.values()])
    confs, overrides, accepted = (
        {path: data[blob] for path, (blob, what) in wanted.items() if what == kind}
        for kind in (CONFS, PROFILES, BASELINE)
    )
    baseline = next(iter(accepted.values()), None)
    at = f"{where}/{PROFILES}" if others else ""
    if profiles is not None:
        at = f"{revision}:{profiles}"
    deeper = tuple(f"{at}/{name}" for name in git.nested(commit, (profiles or folder / PROFILES))) if at else ()
    listing = Listing(
        confs,
        overrides,
        tuple(found),
        tuple(others),
        baseline,
        nested=deeper,
        at=at,
        chosen=profiles is not None,
    )
    return assemble(where, listing, "revision")


def is_revision(text: str, folder: Path) -> bool:
    """Whether git knows a commit by this name, where folder is in a repository."""
    try:
        _Git(folder).commit(text)
    except CompileError:
        return False
    return True


class _Git:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A folder that is gone from the checkout may be in the revision: git runs in the nearest one that is there.
        self.cwd = folder.absolute()
        while not self.cwd.is_dir() and self.cwd != self.cwd.parent:
            self.cwd = self.cwd.parent

    def run(self, *args: str, stdin: bytes | None = None) -> tuple[int, bytes, str]:
        try:
            done = subprocess.run(
                ["git", "--no-replace-objects", *args],
                cwd=self.cwd,
                env={**os.environ, **_SAFE},
                input=b"" if stdin is None else stdin,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as e:
            raise CompileError([error("CR713", "git is not installed, so no revision can be read")]) from e
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()

    def commit(self, revision: str) -> str:
        status, _, words = self.run("rev-parse", "--git-dir")
        if status:
            self.failed("no git repository is here" if "not a git repository" in words else words)
        if revision.startswith("-") or not revision:
            self.unknown(revision)
        status, out, _ = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if status:
            self.unknown(revision)
        return out.decode().split()[-1]

    def inside(self) -> str:
        """The folder's path from the top of the repository."""
        status, out, _ = self.run("rev-parse", "--show-toplevel")
        if status:  # a bare repository: the folder is a path of its tree
            return "" if self.folder in (Path(), self.cwd) else self.folder.as_posix()
        top = Path(os.fsdecode(out.removesuffix(b"\n"))).resolve()
        target = self.folder.absolute()
        resolved = target.resolve()
        if not resolved.is_relative_to(top):
            self.failed(f"{self.folder} is not inside the repository {top}")
        path = resolved.relative_to(top).as_posix()
        return "" if path == "." else path

    def tree(self, commit: str, inside: str) -> list[tuple[str, str, str, str]] | None:
        """Mode, kind, object and path of what is in the folder and in its profiles/; None: no such folder."""
        top = f"{commit}:{inside}"
        status, kind, _ = self.run("cat-file", "-t", top)
        if status or kind.strip() != b"tree":
            return None
        out = self._entries(top, "")
        if any(name == PROFILES and kind_ == "tree" for _, kind_, _, name in out):
            out += self._entries(f"{commit}:{inside}/{PROFILES}" if inside else f"{commit}:{PROFILES}", f"{PROFILES}/")
        return out

    def chosen(self, commit: str, profiles: Path, revision: str) -> list[tuple[str, str, str, str]]:
        """The entries of a folder that was named for the overrides, as if it were the workspace's own."""
        inside = _Git(profiles).inside()
        status, kind, _ = self.run("cat-file", "-t", f"{commit}:{inside}")
        if status or kind.strip() != b"tree":
            message = f"the revision {revision!r} has no folder {inside or '.'}"
            raise CompileError([error("CR715", message, path=str(profiles), hint="it came later, or was called so")])
        return self._entries(f"{commit}:{inside}", f"{PROFILES}/")

    def nested(self, commit: str, folder: Path) -> list[str]:
        """The paths of the YAML files in the folder's subfolders, hidden ones left out."""
        inside = _Git(folder).inside()
        _, out, _ = self.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", f"{commit}:{inside}")
        names = map(os.fsdecode, out.split(b"\0"))
        return [n for n in names if "/" in n and n.endswith(SUFFIXES) and not n.startswith(".") and "/." not in n]

    def _entries(self, tree: str, prefix: str) -> list[tuple[str, str, str, str]]:
        status, out, words = self.run("ls-tree", "-z", "--full-tree", tree)
        if status:
            self.failed(words)
        entries = []
        for line in out.split(b"\0")[:-1]:
            head, _, name = line.partition(b"\t")
            mode, kind, blob = head.decode().split()
            entries.append((mode, kind, blob, prefix + os.fsdecode(name)))
        return entries

    def blobs(self, ids: list[str]) -> dict[str, bytes]:
        """The contents by object; of one that is too large only as much as its reader needs to say so."""
        status, out, words = self.run("cat-file", "--batch", stdin="".join(f"{i}\n" for i in ids).encode())
        if status:
            self.failed(words)
        found: dict[str, bytes] = {}
        at = 0
        for blob in ids:
            end = out.index(b"\n", at)
            head = out[at:end].split()
            if len(head) != 3:
                self.failed(f"the object {blob} is missing: is the clone a shallow or partial one?")
            size = int(head[2])
            found[blob] = out[end + 1 : end + 1 + min(size, LARGEST + 1)]
            at = end + 1 + size + 1
        return found

    def failed(self, words: str) -> NoReturn:
        raise CompileError([error("CR713", f"git: {words}", path=str(self.folder))])

    def unknown(self, revision: str) -> NoReturn:
        _, out, _ = self.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
        near = get_close_matches(revision, out.decode("utf-8", "replace").split(), n=1)
        hint = f"did you mean {near[0]}?" if near else "a branch, a tag, a commit or a folder"
        raise CompileError([error("CR714", f"there is no revision {revision!r}", path=str(self.folder), hint=hint)])
