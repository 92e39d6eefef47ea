"""`make release` in a throw-away clone: what it refuses, and that what fails half-way leaves the clone as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGELOG = "Unreleased\n\n- something that users see\n"


class Clone:
    """A repository with one commit, of what a release reads and writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in ("packaging/release.py", "src/calico_rkt/__init__.py"):
            (folder / path).parent.mkdir(parents=True)
            shutil.copy(ROOT / path, folder / path)
        (folder / "CHANGELOG").write_text(CHANGELOG)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *words: str) -> str:
        names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = {**os.environ, **names, "GIT_CONFIG_GLOBAL": "/dev/null"}
        return subprocess.run(
            ["git", *words], cwd=self.folder, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def release(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
        done = subprocess.run(
            [sys.executable, "packaging/release.py", *words],
            cwd=self.folder,
            env={**os.environ, **who, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done
        return done

    def state(self) -> tuple[str, str, str]:
        return self.git("rev-parse", "HEAD"), self.git("tag"), self.git("status", "--porcelain")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def tag(clone: Clone) -> None:
    clone.git("tag", "v9.9.9")


def dirty(clone: Clone) -> None:
    (clone.folder / "new").write_text("")


def detached(clone: Clone) -> None:
    clone.git("checkout", "-q", "--detach")


def said_already(clone: Clone) -> None:
    (clone.folder / "CHANGELOG").write_text("9.9.8 (2026-01-01)\n\n- something\n")
    clone.commit()


def silent(clone: Clone) -> None:
    (clone.folder / "CHANGELOG").write_text("Unreleased\n")
    clone.commit()


def newer(clone: Clone) -> None:
    (clone.folder / "src/calico_rkt/__init__.py").write_text('__version__ = "10.0.0"\n')
    clone.commit()


def nameless(clone: Clone) -> None:
    (clone.folder / "src/calico_rkt/__init__.py").write_text("")
    clone.commit()


STATES: dict[str, Callable[[Clone], None]] = {
    "there is a tag v9.9.9": tag,
    "the tree is not clean": dirty,
    "no branch is checked out": detached,
    "CHANGELOG does not begin with the line Unreleased": said_already,
    "CHANGELOG says nothing under Unreleased": silent,
    "9.9.9 is older than the code's 10.0.0": newer,
    "has no line __version__": nameless,
}


@pytest.mark.parametrize("words", STATES)
def test_a_state_that_can_not_be_released_is_named(clone: Clone, words: str) -> None:
    STATES[words](clone)
    before = clone.state()
    done = clone.release("--gate", "true", "9.9.9")
    assert (done.returncode, words in done.stderr) == (1, True), done
    assert clone.state() == before


@pytest.mark.parametrize("version", ["", "1.2", "01.2.3", "1.2.3-rc1", "v1.2.3", "1.2.3\n", "x", "\u0661.2.3"])
def test_what_is_no_version_is_refused(clone: Clone, version: str) -> None:
    done = clone.release("--dry-run", "--", version)
    assert (done.returncode, done.stdout, "which is no x.y.z" in done.stderr) == (1, "", True), done


def test_dry_it_only_says_what_it_would_do(clone: Clone) -> None:
    before = clone.state()
    done = clone.release("--dry-run", "9.9.9", SOURCE_DATE_EPOCH="1767225600")
    assert (done.returncode, clone.state()) == (0, before), done
    assert "CHANGELOG 9.9.9, 2026-01-01" in done.stdout


def test_a_gate_that_does_not_pass_ends_it(clone: Clone) -> None:
    before = clone.state()
    done = clone.release("--gate", "false", "9.9.9")
    assert (done.returncode, "false failed; nothing was tagged" in done.stderr) == (1, True), done
    assert clone.state() == before


def test_a_failure_behind_the_tag_takes_tag_and_commit_back(clone: Clone) -> None:
    before = clone.state()
    done = clone.release("--gate", "true", "9.9.9")  # no Makefile here
    assert (done.returncode, "taken back: no tag, no commit" in done.stderr) == (1, True), done
    assert clone.state() == before
    assert (clone.folder / "CHANGELOG").read_text() == CHANGELOG
