"""A workspace in a git revision is the workspace that was committed; git's own troubles have words."""

import os
import subprocess
from pathlib import Path

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.folder import open_folder
from calico_rkt.compiler.workspace.revision import open_revision

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b.c",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b.c",
}


def git(cwd, *args):
    env = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *args], cwd=cwd, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = tmp_path / "repo" / "net.d"
    (folder / "profiles").mkdir(parents=True)
    (folder / "web.conf").write_text(CONF % ("web", "10.1.0.0/24"))
    (folder / "dé b.conf").write_text(CONF % ("db", "10.2.0.0/24"))
    (folder / "profiles" / "web.yaml").write_text("network: web\ningress: []\n")
    (folder / "profiles" / "old.yaml.bak").write_text("network: web\n")
    (folder / "profiles" / "deeper").mkdir()
    (folder / "profiles" / "deeper" / "no.yaml").write_text("network: not-read\n")
    git(tmp_path / "repo", "init", "-q", "-b", "main")
    git(tmp_path / "repo", "add", "-A")
    git(tmp_path / "repo", "commit", "-qm", "one")
    monkeypatch.chdir(tmp_path / "repo")
    return folder


def said(folder, revision="HEAD"):
    with pytest.raises(CompileError) as e:
        open_revision(revision, folder)
    return [(d.code, d.message, d.hint) for d in e.value.diagnostics]


def test_a_revision_is_the_folder_that_was_committed(repository):
    relative = repository.relative_to(repository.parent)
    here, there = open_folder(relative, {}), open_revision("main", relative)
    assert there.confs == here.confs
    assert {f"main:{p}": d for p, d in here.data.items()} == there.data
    assert there.conf_paths["db"] == "main:net.d/dé b.conf"
    assert there.where == "main:net.d"
    assert [d.code for d in there.diagnostics] == [d.code for d in here.diagnostics] == ["CR707"] * 2


def test_the_checkout_is_neither_read_nor_touched(repository):
    (repository / "profiles" / "web.yaml").write_text("network: web\nbroken\n")
    before = git(repository, "status", "--porcelain")
    index = (repository.parent / ".git" / "index").read_bytes()
    assert open_revision("HEAD", repository).diagnostics[0].code == "CR707"
    assert git(repository, "status", "--porcelain") == before
    assert (repository.parent / ".git" / "index").read_bytes() == index


def test_a_folder_that_is_gone_from_the_checkout_is_still_in_the_revision(repository):
    git(repository.parent, "rm", "-rqf", "net.d")
    assert open_revision("HEAD", repository).names == ("db", "web")


def test_from_inside_the_folder_from_a_worktree_and_from_a_bare_repository(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(repository)
    (tmp_path / "bare").mkdir()
    git(tmp_path, "clone", "-q", "--bare", "repo", "bare/repo.git")
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert open_revision("HEAD", type(repository)(".")).names == ("db", "web")
    assert open_revision("HEAD", tmp_path / "tree" / "net.d").names == ("db", "web")
    monkeypatch.chdir(tmp_path / "bare" / "repo.git")
    assert open_revision("main", type(repository)("net.d")).names == ("db", "web")


@pytest.mark.parametrize("way", ["../repo/net.d", "net.d/../net.d", "net.d/../../repo/net.d", "../repo/../repo/net.d"])
def test_a_way_that_leaves_the_repository_and_comes_back(repository, way):
    there = open_revision("main", Path(way))
    assert there.confs == open_folder(repository, {}).confs


def test_words_for_what_is_not_there(repository, tmp_path, monkeypatch):
    assert said(repository, "mian") == [("CR714", "there is no revision 'mian'", "did you mean main?")]
    for odd in ("", "--help", "HEAD~99", "HEAD:net.d", "a b", "é"):
        assert said(repository, odd)[0][0] == "CR714", odd
    assert said(repository.parent / "none")[0][0] == "CR715"
    assert said(repository / "web.conf")[0][0] == "CR715"
    (tmp_path / "plain").mkdir()
    assert said(tmp_path / "plain")[0][:2] == ("CR713", "git: no git repository is here")
    (repository / "empty").mkdir()
    assert said(repository / "profiles")[0][0] == "CR806"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert said(repository)[0] == ("CR713", "git is not installed, so no revision can be read", "")
