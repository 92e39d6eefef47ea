"""`make release` in a throw-away clone: what it refuses, and that what fails half-way leaves the clone as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
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
            env={**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", **environment},
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


@pytest.fixture
def whole(clone: Clone) -> Clone:
    """With as little as can be built, as quickly as can be."""
    folder = clone.folder
    (folder / "Makefile").write_text("binary deb:\n\tmkdir -p dist && echo $@ >dist/calico\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "small"\nversion = "1"\n'
    )
    (folder / ".gitignore").write_text("/dist/\n*.egg-info/\n/build/\n/key*\n")
    clone.commit()
    return clone


def by_ssh(clone: Clone) -> tuple[str, ...]:
    key = clone.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = clone.folder / "key.signers"
    signers.write_text(f"x {key.with_suffix('.pub').read_text()}")
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("gpg.ssh.allowedSignersFile", signers)):
        clone.git("config", name, str(value))
    return ("ssh-keygen", "-Y", "verify", "-n", "file", "-f", str(signers), "-I", "x", "-s", "SHA256SUMS.sig")


def by_gpg(clone: Clone) -> tuple[str, ...]:
    subprocess.run(["gpg", "-q", "--batch", "--passphrase", "", "--quick-gen-key", "releaser", "ed25519"], check=True)
    clone.git("config", "user.signingkey", "releaser")
    return ("gpg", "-q", "--batch", "--verify", "SHA256SUMS.asc", "-")


@pytest.mark.slow
@pytest.mark.parametrize("made", [by_ssh, by_gpg])
def test_where_git_has_a_key_tag_and_checksums_are_signed(
    whole: Clone, made: Callable[[Clone], tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "gpg" if made is by_gpg else "ssh-keygen"
    if not shutil.which(program):
        pytest.skip(f"{program} is not here")
    with tempfile.TemporaryDirectory(prefix="crk-") as home:  # the path of the agent's socket has 108 bytes
        monkeypatch.setenv("GNUPGHOME", home)
        verify = made(whole)
        done = whole.release("--gate", "true", "9.9.9")
        assert done.returncode == 0, done
        sums = (whole.folder / "dist" / "SHA256SUMS").read_bytes()
        assert {line.split()[1] for line in sums.decode().splitlines()} == {
            "calico",
            "small-1.tar.gz",
            "small-1-py3-none-any.whl",
        }
        whole.git("tag", "-v", "v9.9.9")
        for data, good in ((sums, True), (sums.replace(b"calico", b"other"), False)):
            checked = subprocess.run(verify, cwd=whole.folder / "dist", input=data, capture_output=True, check=False)
            assert (checked.returncode == 0) is good, checked
        if program == "gpg":
            subprocess.run(["gpgconf", "--kill", "all"], check=True)


@pytest.mark.slow
def test_without_a_key_it_says_so_and_signs_nothing(whole: Clone) -> None:
    assert "signature none: git has no user.signingkey" in whole.release("--dry-run", "9.9.9").stdout
    assert whole.release("--gate", "true", "9.9.9").returncode == 0
    assert [p.name for p in (whole.folder / "dist").iterdir() if p.suffix in (".asc", ".sig")] == []


def test_a_key_that_is_not_there_ends_it_without_a_tag(whole: Clone) -> None:
    whole.git("config", "gpg.format", "ssh")
    whole.git("config", "user.signingkey", "/nowhere/key")
    before = whole.state()
    assert whole.release("--gate", "true", "9.9.9").returncode == 1
    assert whole.state() == before
