"""A commit's files, links and submodules are what a checkout of it has, or an error where the checkout has one, too."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.folder import listing
from calico_rkt.compiler.workspace.git import Git
from calico_rkt.compiler.workspace.git_tree import Tree

NAMES = ["a", "b", "dé", "..x"]
TARGETS = [*NAMES, ".", "..", "", "sub", "a/", "none"]
IDENTITY = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRON = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
targets = st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4).map("/".join).filter(bool)
trees = st.dictionaries(paths, st.one_of(st.none(), targets, targets), min_size=1, max_size=9)
asked = st.lists(st.sampled_from([*NAMES, "..", "sub", "f"]), min_size=1, max_size=5).map("/".join)


def git(cwd, *args):
    done = subprocess.run(["git", *args], cwd=cwd, env=ENVIRON, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build(top, tree):
    """Links where the tree has a target, files where it has none; what has no room is left out."""
    for path, target in tree.items():
        at = top / path
        try:
            at.parent.mkdir(parents=True, exist_ok=True)
            if at.parent.resolve().is_relative_to(top.resolve()):
                at.symlink_to(target) if target else at.write_text(path)
        except (OSError, RuntimeError):
            continue


def seen(place, path):
    """What stands at a path: the names of a folder, the bytes of a file, or None for an error."""
    try:
        here = place
        for part in path.split("/"):
            here = here / part
        if here.is_dir():
            return sorted(p.name for p in here.iterdir() if p.name != ".git")
        with here.open("rb") as stream:
            return stream.read()
    except (OSError, RuntimeError):
        return None


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    return tmp_path_factory.mktemp("around")


def leaves(top, path):
    """Whether the kernel, on its way to a path, leaves the repository or takes an absolute link."""
    todo, here, links = path.split("/"), top, 0
    while todo:
        part = todo.pop(0)
        here = here.parent if part == ".." else here / part if part not in ("", ".") else here
        if here != top and top not in here.parents:
            return True
        if here.is_symlink():
            links += 1
            if links > 40:
                return False
            target = str(here.readlink())
            if target.startswith("/"):
                return True
            todo = [*target.split("/"), *todo]
            here = here.parent
    return False


@settings(max_examples=100)
@given(tree=trees, module=trees, questions=st.lists(asked, min_size=5, max_size=15))
def test_a_commit_is_read_as_its_checkout(around, tree, module, questions):
    top = around / str(len(list(around.iterdir())))
    for folder, content in ((top / "sub", module), (top, tree)):
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", "main")
        build(folder, {**content, "f": None})
        git(folder, "add", "-A", "-f")
        git(folder, "commit", "-qm", "one")
    repository = Git(top)
    read = Tree(repository, "main", repository.commit("main"))
    try:
        for path in (*questions, *tree, *(f"sub/{p}" for p in module)):
            there = seen(read.place("", "."), path)
            if leaves(top, path):
                assert there is None, path
            else:
                assert there == seen(top, path), path
    finally:
        read.close()


CONF = (
    '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'
)
KNOWN = ["web.conf", "db.conflist", "baseline.yaml", "stray.yaml", "profiles"]
INSIDE = ["web.yaml", "db.yml", "web.yaml.txt", ".hidden.yaml", "deep/no.yaml"]
FILES = [f"net.d/{n}" for n in KNOWN] + [f"{f}/{n}" for f in ("net.d/profiles", "pol") for n in INSIDE]
LINKS = ["../pol", "pol", "web.yaml", "../net.d/web.conf", "../pol/web.yaml", "none", ".", "..", "../sub", "profiles"]
content = st.one_of(st.none(), st.sampled_from([*LINKS, "../../out", "/etc/hostname"]))


def listed(folder):
    """A listing without what is called differently, or None for an error."""
    try:
        found = listing(folder, None)
    except CompileError:
        return None

    def at(path):
        return path.partition("net.d")[2]

    return {
        **{at(path): text for files in (found.confs, found.profiles, found.stray) for path, text in files.items()},
        "unusable": {at(u.path) for u in found.unusable},
        "problems": {at(d.path) for d in found.problems},
        "others": [at(path) for path in found.others if not path.endswith("/.git")],
        "nested": {at(path) for path in found.nested},
        "baseline": found.baseline,
        "at": at(found.at),
    }


@settings(max_examples=80)
@given(files=st.dictionaries(st.sampled_from(FILES), content, min_size=2))
def test_a_revision_s_listing_is_its_checkout_s(around, files):
    top = around / f"listing-{len(list(around.iterdir()))}"
    for folder, inside in ((top / "sub", {"web.yaml": None}), (top, {**files, "net.d/x": None})):
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", "main")
        build(folder, inside)
        for written in dict.fromkeys((top / "sub", folder)):  # a link of the tree may lead into the submodule
            git(written, "add", "-A", "-f")
            git(written, "commit", "-qm", "one", "--allow-empty")
    repository = Git(top)
    read = Tree(repository, "main", repository.commit("main"))
    try:
        there, here = listed(read.place("net.d", "net.d")), listed(top / "net.d")
    finally:
        read.close()
    if any(leaves(top, path) for path in files):
        # The checkout may find something out there: the revision has the same, or says that it can't follow.
        if there is not None and here is not None:
            told = there["unusable"] | there["problems"]
            assert {k for k in here if k.startswith("/") and k not in there} <= told | {"/stray.yaml"}
    else:
        assert there == here
