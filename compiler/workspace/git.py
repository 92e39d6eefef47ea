"""A folder in, the git repository that it is in out: what a revision names, and objects by their ids.

Only objects are read: no checkout, no index, no network. What git says when it fails is told in plain words.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from calico_rkt.compiler.diagnostics import CompileError, error

_OF_A_REPOSITORY = (
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
)
"""What git gives to a hook: it would lead to the hook's repository, whatever folder is named."""
_OBJECTS = {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
_SAFE = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_GRAFT_FILE": os.devnull,
}
"""git asks nobody, changes nothing, fetches nothing, and speaks the language that its messages are known in."""
_OPTIONS = ("--no-replace-objects", "-c", "core.warnAmbiguousRefs=true")
_RANGE = re.compile(r"(?!\./)(?P<old>.*?)(?P<dots>\.{2,3})(?P<new>(?!/).*)\Z")
_DUBIOUS = re.compile(r"detected dubious ownership in repository at '(.*)'")
_AMBIGUOUS = re.compile(r"refname '(.*)' is ambiguous")


class Git:
    """The repository that a folder is in.

    A folder that is gone from the checkout may be in a revision all the same: the nearest one that is there counts.
    Raises CompileError (CR713) where there is none, where git is not installed, or where it refuses the repository.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = folder
        try:
            self.cwd = folder.absolute()
        except FileNotFoundError as e:  # it counts from a working folder that is gone
            raise CompileError([error("CR701", f"the folder can't be read: {e.strerror}", path=str(folder))]) from e
        while not self.cwd.is_dir() and self.cwd != self.cwd.parent:
            self.cwd = self.cwd.parent
        self.environ = clean(environ)
        status, out, words = self._find()
        if status and "not a git repository" in words and {"GIT_DIR", "GIT_WORK_TREE"} <= environ.keys():
            # Nothing is around the folder itself, and somebody says which repository's work tree it is in.
            self.environ |= {k: os.path.abspath(environ[k]) for k in ("GIT_DIR", "GIT_WORK_TREE")}  # noqa: PTH100
            status, out, words = self._find()
        if status:
            self._none(words, environ)
        self.git_dir, self.common = (Path(os.fsdecode(line)) for line in out.split(b"\n")[:2])
        if "GIT_DIR" in environ and Path(environ["GIT_DIR"]).resolve() == self.git_dir.resolve():
            # A hook of this very repository: what is being pushed is not yet among its own objects.
            for name in _OBJECTS & environ.keys():
                self.environ[name] = os.pathsep.join(map(os.path.abspath, environ[name].split(os.pathsep)))
        status, out, _ = self.run("rev-parse", "--show-toplevel")
        self.top = self.git_dir if status else Path(os.fsdecode(out.removesuffix(b"\n")))
        """The top of the checkout; of a bare repository its own folder, whose parts stand for those of its trees."""

    def run(self, *args: str) -> tuple[int, bytes, str]:
        """Exit status, stdout and stderr of a git command."""
        try:
            done = subprocess.run(
                ["git", *_OPTIONS, *args],
                cwd=self.cwd,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as e:
            raise CompileError([error("CR713", "git is not installed, so no revision can be read")]) from e
        except (OSError, ValueError) as e:  # a folder that can't be entered, a NUL byte in a name
            raise CompileError([error("CR713", f"git can't be run here: {e}", path=str(self.folder))]) from e
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()

    def commit(self, revision: str) -> str:
        """The id of the commit that a revision names.

        CompileError: CR714 for none, CR740 for a range of them, CR741 for a name that two of them have.
        """
        ended = _RANGE.match(revision)
        if ended and not revision.startswith((":/", "-")) and "^{/" not in revision:
            old, new = ended["old"] or "HEAD", ended["new"] or "HEAD"
            two_in_one(revision, old, new, self.folder, from_the_fork=ended["dots"] == "...")
        if revision.startswith("-") or not revision or "\0" in revision:
            self._unknown(revision, "")
        status, out, words = self.run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        if status or out.startswith(b"^"):  # ^REV is what is not to be looked at
            self._unknown(revision, words)
        for name in dict.fromkeys(_AMBIGUOUS.findall(words)):
            self._ambiguous(name)
        return out.decode().split()[-1]

    def inside(self, folder: Path) -> str:
        """A folder's path from the top of the repository, as it was named: its links are the revision's own."""
        top = self.top.resolve()
        whole = folder.absolute()
        found: Path | None = None
        for part in (*reversed(whole.parents), whole):
            if found is not None and os.path.normpath(part.relative_to(found)) == "..":
                found = None  # out of the folder that led in, and perhaps in again
            if found is None and part.resolve().is_relative_to(top):
                found = part
        if found is None:
            return self.failed(f"{folder} is not inside the repository {self.top}")
        path = (found.resolve().relative_to(top) / whole.relative_to(found)).as_posix()
        return "" if path == "." else path

    def refs(self) -> list[str]:
        """The names of branches and tags."""
        _, out, _ = self.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
        return out.decode("utf-8", "replace").split()

    def failed(self, words: str, hint: str = "") -> NoReturn:
        raise CompileError([error("CR713", f"git: {words}", path=str(self.folder), hint=hint)])

    def _find(self) -> tuple[int, bytes, str]:
        return self.run("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")

    def _none(self, words: str, environ: Mapping[str, str]) -> NoReturn:
        if dubious := _DUBIOUS.search(words):
            where = dubious[1]
            message = f"the repository {where} belongs to another user, so git does not read it"
            self.failed(message, f"where you trust it: git config --global --add safe.directory {_quoted(where)}")
        if "not a git repository: " in words:
            gone = plain(words).partition("not a git repository: ")[2]
            self.failed(f"the .git here leads to {gone}, which is not there", "is the main repository mounted, too?")
        if "not a git repository" in words:
            hint = "GIT_DIR is set, and this folder is in no work tree of it" if "GIT_DIR" in environ else ""
            if "filesystem boundary" in words and not hint:
                hint = "the search ended at a mount point; GIT_DISCOVERY_ACROSS_FILESYSTEM=1 goes on"
            self.failed("no git repository is here", hint)
        self.failed(plain(words))

    def _ambiguous(self, name: str) -> None:
        found: dict[str, bytes] = {}
        for full in (f"refs/tags/{name}", f"refs/heads/{name}", f"refs/remotes/{name}", name):
            status, out, _ = self.run("rev-parse", "--verify", "--quiet", f"{full}^{{commit}}")
            if not status and (full != name or not found):
                found[full] = out
        if len(set(found.values())) > 1 or len(found) < 2:
            both = " or ".join(found) if len(found) > 1 else f"refs/heads/{name}, refs/tags/{name} or the whole id"
            message = f"{name!r} is the name of more than one revision"
            raise CompileError([error("CR741", message, path=str(self.folder), hint=f"write {both}")])

    def _unknown(self, revision: str, words: str) -> NoReturn:
        refs = self.refs()
        near = get_close_matches(revision, refs, n=1)
        _, shallow, _ = self.run("rev-parse", "--is-shallow-repository")
        status, _, _ = self.run("rev-parse", "--verify", "--quiet", "HEAD")
        message = f"there is no revision {revision!r}"
        remote = [r for r in refs if r.endswith(f"/{revision}") and revision]
        if remote:
            hint = f"did you mean {remote[0]}?"
        elif near and near[0] != revision:
            hint = f"did you mean {near[0]}?"
        elif status and not refs:
            hint = "no commit has been made here yet"
        elif shallow.strip() == b"true":
            hint = (
                "this clone is shallow: git fetch --unshallow (fetch-depth: 0 in a workflow), or git fetch origin NAME"
            )
        else:
            hint = "a branch, a tag, a commit or a folder"
        if words and "Needed a single revision" not in words:
            message += f": {plain(words)}"
        raise CompileError([error("CR714", message, path=str(self.folder), hint=hint)])


def two_in_one(text: str, old: str, new: str, folder: Path, *, from_the_fork: bool = False) -> NoReturn:
    """CompileError (CR740): two revisions in one word, as git's own diff takes them."""
    start = f"$(git merge-base {old} {new})" if from_the_fork else old
    hint = f"`diff {start} {new}` compares the two; any other command reads one of them"
    raise CompileError([error("CR740", f"{text!r} is two revisions in one word", path=str(folder), hint=hint)])


def git_dirs(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """Where the repository of a folder keeps its objects; nothing where there is none that git would read."""
    command = ["git", "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"]
    done = subprocess.run(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return [Path(os.fsdecode(line)) for line in done.stdout.split(b"\n")[:-1]]


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what leads git to another repository or into its messages."""
    kept = {k: v for k, v in environ.items() if k not in _OF_A_REPOSITORY and not k.startswith("GIT_TRACE")}
    return {**kept, **_SAFE}


def plain(words: str) -> str:
    """What git says on one line, without its own marks and its hints on how to use git."""
    lines = (line.strip() for line in words.splitlines())
    told = [line for line in lines if line and not line.startswith(("hint:", "warning:", "usage:"))]
    return "; ".join(re.sub(r"\A(fatal|error): ", "", line) for line in told) or "it failed without a word"


def _quoted(path: str) -> str:
    from shlex import quote

    return quote(path)
