"""Links, submodules and git's own ways: a revision is read as its checkout would be, or the reason is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.folder import open_folder
from calico_rkt.compiler.workspace.revision import is_revision, open_revision

CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'
)
OPEN, SHUT = "network: web\ningress:\n  - {action: Allow}\n", "network: web\ningress: []\n"
WHO = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRON = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
LOCAL = ("-c", "protocol.file.allow=always")


def git(cwd, *args):
    done = subprocess.run(["git", *args], cwd=cwd, env=ENVIRON, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def put(top, path, text):
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).write_text(text)


def link(top, path, target):
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).symlink_to(target)


def commit(top, name="one"):
    git(top, "add", "-A", "-f")
    git(top, "commit", "-qm", name, "--allow-empty")
    return git(top, "rev-parse", "HEAD")


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    made = tmp_path / "repo"
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    put(made, "net.d/web.conf", CONF)
    monkeypatch.chdir(made)
    return made


def data(workspace):
    """The overrides by the names of their files."""
    return {path.rpartition("/")[2]: text.decode() for path, text in workspace.data.items()}


def told(folder, revision="HEAD", **named):
    """All that is wrong: where a revision can't be read at all, or what is said of its files."""
    try:
        workspace = open_revision(revision, Path(folder), **named)
    except CompileError as e:
        found = e.diagnostics
    else:
        found = [*workspace.diagnostics, *(d for u in workspace.unusable for d in u.diagnostics)]
    for d in found:
        assert "\n" not in d.message + d.hint
        assert "\t" not in d.message + d.hint
        assert "fatal" not in d.message
    return [(d.code, d.message, d.hint) for d in found]


@pytest.mark.parametrize(
    "links",
    [
        {"net.d/profiles": "../policies"},
        {"net.d/profiles": "../one", "one": "two", "two": "policies"},
        {"net.d/profiles": "../deep/er/../../policies", "deep": "real"},
        {"net.d/profiles/web.yaml": "../../policies/web.yaml"},
        {"net.d/profiles": "./.././net.d/../policies/"},
    ],
)
def test_a_link_is_followed_inside_the_revision_and_not_in_the_checkout(top, links):
    put(top, "policies/web.yaml", SHUT)
    put(top, "real/er/x", "")
    for path, target in links.items():
        link(top, path, target)
    old = commit(top)
    put(top, "policies/web.yaml", OPEN)
    commit(top)
    put(top, "policies/web.yaml", "network: web\negress: []\n")
    assert data(open_revision(old, Path("net.d"))) == {"web.yaml": SHUT}
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": OPEN}


def test_a_link_that_leads_elsewhere_in_another_revision_is_that_revision_s(top):
    put(top, "a/web.yaml", SHUT)
    put(top, "b/web.yaml", OPEN)
    link(top, "net.d/profiles", "../a")
    link(top, "now", "net.d")
    old = commit(top)
    for path, target in (("net.d/profiles", "../b"), ("now", "other.d")):
        (top / path).unlink()
        link(top, path, target)
    put(top, "other.d/web.conf", CONF.replace("10.1", "10.2"))
    commit(top)
    assert data(open_revision(old, Path("now"))) == {"web.yaml": SHUT}
    assert data(open_revision(old, top / "net.d")) == {"web.yaml": SHUT}
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": OPEN}
    assert "10.2" in str(open_revision("HEAD", Path("now")).confs[0].ipam)


def test_a_conf_may_be_a_link(top):
    put(top, "shared/front.conf", CONF.replace("web", "front"))
    link(top, "net.d/front.conf", "../shared/front.conf")
    commit(top)
    assert open_revision("HEAD", Path("net.d")).names == ("front", "web")


@pytest.mark.parametrize(
    ("path", "target", "words"),
    [
        ("net.d/profiles", "../../policies", "which leads out of the repository"),
        ("net.d/profiles", "/etc/calico-rkt/profiles", "which leads out of the repository"),
        ("net.d/profiles", "profiles", "is a link that leads back to itself"),
        ("net.d/profiles", "../none", "which leads to none, which is not in this revision"),
        ("net.d/profiles", "web.conf", "Not a directory"),
        (
            "net.d/profiles/web.yaml",
            "none.yaml",
            "which leads to net.d/profiles/none.yaml, which is not in this revision",
        ),
        ("net.d/profiles/web.yaml", "/tmp/web.yaml", "which leads out of the repository"),
        ("net.d/profiles/web.yaml", "web.yaml", "is a link that leads back to itself"),
        ("net.d/profiles/web.yaml", ".", "this is a folder"),
        ("net.d/db.conf", "../../db.conf", "which leads out of the repository"),
        ("net.d/baseline.yaml", "../../baseline.yaml", "which leads out of the repository"),
    ],
)
def test_a_link_that_can_not_be_followed_is_an_error_that_names_it(top, path, target, words):
    link(top, path, target)
    commit(top)
    found = [message for _, message, _ in told("net.d")]
    assert any(words in message for message in found), found
    if "which leads" in words:
        assert any(f"{path} is a link to {target}, {words}" in message for message in found), found


@pytest.fixture
def module(tmp_path, top):
    """A repository of overrides as the submodule net.d/profiles, at its first commit; a second one is in it."""
    made = tmp_path / "policies"
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    put(made, "web.yaml", SHUT)
    commit(made)
    git(top, *LOCAL, "submodule", "add", "-q", "--name", "rules", str(made), "net.d/profiles")
    commit(top)
    put(made, "web.yaml", OPEN)
    commit(made)
    return made


@pytest.mark.usefixtures("module")
def test_a_submodule_is_read_at_the_commit_that_is_recorded(top):
    git(top / "net.d/profiles", "pull", "-q")
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": SHUT}, "whatever is checked out there"
    commit(top)
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": OPEN}
    assert data(open_revision("HEAD~1", Path("net.d"))) == {"web.yaml": SHUT}


@pytest.mark.usefixtures("module")
def test_a_submodule_whose_checkout_is_gone_is_read_from_the_repository_s_modules(top):
    old = git(top, "rev-parse", "HEAD")
    git(top, "rm", "-q", "net.d/profiles")
    put(top, "net.d/profiles/web.yaml", OPEN)
    commit(top)
    assert data(open_revision(old, Path("net.d"))) == {"web.yaml": SHUT}
    git(top, "worktree", "add", "-q", str(top.parent / "tree"), old)
    assert data(open_revision("HEAD", top.parent / "tree/net.d")) == {"web.yaml": SHUT}


@pytest.mark.usefixtures("module")
def test_links_go_into_a_submodule_and_out_of_it(top):
    inner = top / "net.d/profiles"
    link(inner, "db.yaml", "../../policies/db.yaml")
    link(inner, "out.yaml", "../../../x.yaml")
    commit(inner)
    put(top, "policies/db.yaml", "network: db\n")
    link(top, "other.d/profiles", "../net.d/profiles")
    put(top, "other.d/web.conf", CONF)
    commit(top)
    found = open_revision("HEAD", Path("other.d"))
    assert data(found) == {"web.yaml": SHUT, "db.yaml": "network: db\n"}
    assert any("out.yaml is a link to ../../../x.yaml, which leads out" in d.message for d in found.diagnostics)


def test_a_submodule_in_a_submodule_is_read(top, tmp_path, module):
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    git(outer, *LOCAL, "submodule", "add", "-q", "--name", "inner", str(module), "pol")
    commit(outer)
    git(top, *LOCAL, "submodule", "add", "-q", "--name", "outer", str(outer), "outer")
    git(top, *LOCAL, "submodule", "update", "-q", "--init", "--recursive")
    git(top, "rm", "-q", "-f", "net.d/profiles")
    link(top, "net.d/profiles", "../outer/pol")
    commit(top)
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": OPEN}
    git(top, "submodule", "deinit", "-q", "-f", "--all")
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": OPEN}, "from the modules of the modules"


@pytest.mark.usefixtures("module")
def test_a_submodule_that_is_not_here_is_an_error_with_the_cure_also_in_the_checkout(top, tmp_path):
    git(tmp_path, "clone", "-q", str(top), "fresh")
    ((code, message, _),) = told(tmp_path / "fresh/net.d")
    assert code == "CR701"
    assert "net.d/profiles is a submodule, and its commit" in message
    assert "git -C ../fresh submodule update --init net.d/profiles" in message
    with pytest.raises(CompileError) as e:
        open_folder(tmp_path / "fresh/net.d", {})
    (found,) = e.value.diagnostics
    assert (found.code, "not initialised" in found.message) == ("CR742", True)
    assert found.hint == "git -C ../fresh submodule update --init net.d/profiles"
    (tmp_path / "empty.d/profiles").mkdir(parents=True)
    put(tmp_path, "empty.d/web.conf", CONF)
    assert data(open_folder(tmp_path / "empty.d", {})) == {}, "an empty folder of no repository is one"


@pytest.mark.usefixtures("module")
def test_a_workspace_that_is_a_submodule_is_its_own_repository(top, tmp_path):
    git(tmp_path, "init", "-q", "-b", "main", "outside")
    git(tmp_path / "outside", *LOCAL, "submodule", "add", "-q", str(top), "nets")
    commit(tmp_path / "outside")
    git(tmp_path / "outside/nets", *LOCAL, "submodule", "update", "-q", "--init")
    assert open_revision("HEAD", tmp_path / "outside/nets/net.d").names == ("web",)
    git(tmp_path, "clone", "-q", "outside", "fresh")
    assert "nets is a submodule" in told(tmp_path / "fresh/nets")[0][1]


def test_a_file_that_git_has_only_a_pointer_of_is_an_error(top):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n"
    put(top, "net.d/profiles/web.yaml", pointer)
    commit(top)
    assert any(code == "CR708" and "LFS" in message for code, message, _ in told("net.d"))
    here = open_folder(top / "net.d", {}).diagnostics
    assert any(d.code == "CR708" and "LFS" in d.message for d in here), "nor is it pulled in the checkout"


def test_a_partial_clone_names_what_it_lacks_and_fetches_nothing(top, tmp_path):
    put(top, "net.d/profiles/web.yaml", SHUT)
    put(top, "net.d/profiles/db.yaml", "network: db\n")
    commit(top)
    put(top, "net.d/profiles/web.yaml", OPEN)
    commit(top)
    git(top, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{top}", "part")
    found = told(tmp_path / "part/net.d", "HEAD~1")
    assert any("is not in this clone" in message for _, message, _ in found), found
    assert data(open_revision("HEAD", tmp_path / "part/net.d")) == {"web.yaml": OPEN, "db.yaml": "network: db\n"}
    assert "?" in git(tmp_path / "part", "rev-list", "--objects", "--all", "--missing=print")
    git(tmp_path, "clone", "-q", "--filter=tree:0", "--no-checkout", f"file://{top}", "treeless")
    assert "is not in this clone" in told(tmp_path / "treeless/net.d", "HEAD~1")[0][1]


@pytest.mark.parametrize("lost", ["HEAD:net.d", "HEAD:net.d/profiles", "HEAD:net.d/profiles/web.yaml"])
def test_what_is_lost_is_never_taken_for_what_is_not_there(top, lost):
    put(top, "net.d/profiles/web.yaml", SHUT)
    commit(top)
    name = git(top, "rev-parse", lost)
    (top / ".git/objects" / name[:2] / name[2:]).unlink()
    assert any("is not in this clone" in message for _, message, _ in told("net.d"))


def test_a_repository_of_longer_ids_is_read(tmp_path):
    made = tmp_path / "long"
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", str(made))
    put(made, "net.d/web.conf", CONF)
    put(made, "policies/web.yaml", SHUT)
    link(made, "net.d/profiles", "../policies")
    commit(made)
    assert data(open_revision("HEAD", made / "net.d")) == {"web.yaml": SHUT}


def test_a_repository_of_somebody_else_has_the_cure_in_its_words(top, monkeypatch):
    commit(top)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    ((code, message, hint),) = told("net.d")
    assert (code, f"{top}" in message) == ("CR713", True)
    assert "another user" in message
    assert f"git config --global --add safe.directory {top}" in hint
    for key, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", str(top))):
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    assert open_revision("HEAD", Path("net.d")).names == ("web",), "the environment's own cure counts"


def test_a_hook_reads_the_folder_that_is_named_and_not_its_own_repository(top, tmp_path, monkeypatch):
    put(top, "net.d/profiles/web.yaml", SHUT)
    commit(top)
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", "-b", "main", str(other))
    put(other, "net.d/web.conf", CONF)
    put(other, "net.d/profiles/web.yaml", OPEN)
    commit(other)
    git(top, "worktree", "add", "-q", str(tmp_path / "tree"))
    repository = top / ".git/worktrees/tree"
    for name, value in (("DIR", repository), ("WORK_TREE", tmp_path / "tree"), ("INDEX_FILE", repository / "index")):
        monkeypatch.setenv(f"GIT_{name}", str(value))
    monkeypatch.setenv("GIT_PREFIX", "net.d/")
    assert data(open_revision("HEAD", tmp_path / "tree/net.d")) == {"web.yaml": SHUT}
    assert data(open_revision("HEAD", other / "net.d")) == {"web.yaml": OPEN}
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": SHUT}
    (tmp_path / "plain").mkdir()
    assert told(tmp_path / "plain")[0][0] == "CR713"


def test_what_is_being_pushed_is_read_by_the_hook_that_lets_it_in(top, tmp_path):
    put(top, "net.d/profiles/web.yaml", SHUT)
    commit(top)
    git(tmp_path, "clone", "-q", "--bare", str(top), "bare.git")
    put(top, "net.d/profiles/web.yaml", OPEN)
    commit(top)
    code = (
        "import sys; from pathlib import Path; from calico_rkt.compiler.workspace.revision import open_revision as o;"
        "print(o(sys.argv[1], Path('net.d')).data)"
    )
    hook = tmp_path / "bare.git/hooks/pre-receive"
    hook.write_text(f'#!/bin/sh\nread old new ref\n{sys.executable} -c "{code}" $new >&2\nexit 1\n')
    hook.chmod(0o755)
    command = ["git", "push", "-q", str(tmp_path / "bare.git"), "main"]
    done = subprocess.run(command, cwd=top, env=ENVIRON, capture_output=True, text=True, check=False)
    assert "action: Allow" in done.stderr, done.stderr


def test_a_work_tree_that_only_the_environment_knows_is_read_where_the_folder_is_in_it(top, tmp_path, monkeypatch):
    commit(top)
    (top / ".git").rename(tmp_path / "apart")
    assert "no git repository" in told("net.d")[0][1]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "apart"))
    assert "GIT_DIR" in told("net.d")[0][2]
    monkeypatch.setenv("GIT_WORK_TREE", str(top))
    assert open_revision("HEAD", Path("net.d")).names == ("web",)
    (tmp_path / "elsewhere").mkdir()
    assert "not inside the repository" in told(tmp_path / "elsewhere")[0][1]


def test_a_worktree_whose_repository_is_gone_says_where_it_was(top, tmp_path):
    commit(top)
    git(top, "worktree", "add", "-q", str(tmp_path / "tree"))
    top.rename(tmp_path / "moved")
    ((code, message, hint),) = told(tmp_path / "tree/net.d")
    assert (code, ".git/worktrees/tree" in message, "mounted" in hint) == ("CR713", True, True)


def test_a_bare_repository_is_read_by_its_own_paths(top, tmp_path, monkeypatch):
    put(top, "net.d/profiles/web.yaml", SHUT)
    put(top, "web.conf", CONF)
    commit(top)
    git(tmp_path, "clone", "-q", "--bare", str(top), "bare.git")
    for folder in (tmp_path / "bare.git/net.d", tmp_path / "bare.git", Path("../bare.git/net.d")):
        assert open_revision("main", folder).names == ("web",), folder
    monkeypatch.chdir(tmp_path / "bare.git")
    assert data(open_revision("main", Path("net.d"))) == {"web.yaml": SHUT}
    assert open_revision("main", Path()).names == ("web",)
    assert told("none")[0][0] == "CR715"


@pytest.mark.parametrize("text", ["main..HEAD", "main...HEAD", "HEAD~1..", "..main", "feature/x..main"])
def test_two_revisions_in_one_word_are_told_how_to_be_compared(top, text):
    commit(top)
    ((code, message, hint),) = told("net.d", text)
    assert (code, "two revisions" in message) == ("CR740", True)
    assert "diff " in hint
    assert ("merge-base" in hint) == ("..." in text)


def test_a_name_of_two_revisions_is_refused(top):
    commit(top)
    git(top, "tag", "v1")
    git(top, "branch", "v1")
    assert open_revision("v1", Path("net.d")).names == ("web",), "both are the same commit"
    commit(top, "two")
    git(top, "branch", "-f", "v1", "HEAD")
    ((code, _, hint),) = told("net.d", "v1")
    assert code == "CR741"
    assert "refs/tags/v1 or refs/heads/v1" in hint
    assert open_revision("refs/heads/v1", Path("net.d")).names == ("web",)
    assert is_revision("v1", top)


def test_a_shallow_clone_says_so(top, tmp_path):
    commit(top)
    commit(top, "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{top}", "shallow")
    ((code, _, hint),) = told(tmp_path / "shallow/net.d", "HEAD~1")
    assert code == "CR714"
    assert "shallow" in hint
    assert "--unshallow" in hint


@pytest.mark.usefixtures("top")
def test_a_repository_without_a_commit_says_so():
    assert told("net.d")[0][2] == "no commit has been made here yet"


def test_a_branch_that_only_the_remote_has_is_offered(top, tmp_path):
    commit(top)
    git(top, "branch", "feature")
    git(tmp_path, "clone", "-q", str(top), "clone")
    assert told(tmp_path / "clone/net.d", "HEAD:x")[0][0] == "CR714"
    git(tmp_path / "clone", "remote", "rename", "origin", "one")
    git(tmp_path / "clone", "remote", "add", "two", str(top))
    git(tmp_path / "clone", "fetch", "-q", "two")
    assert "feature?" in told(tmp_path / "clone/net.d", "feature")[0][2]


def test_a_folder_of_another_case_is_offered(top):
    commit(top)
    assert told("NET.D")[0] == ("CR715", "the revision 'HEAD' has no folder NET.D", "did you mean net.d?")


def test_replaced_objects_and_attributes_change_nothing(top):
    put(top, "net.d/profiles/web.yaml", SHUT)
    put(top, ".gitattributes", "*.yaml export-ignore filter=none working-tree-encoding=UTF-16\n*.conf export-subst\n")
    put(top, "net.d/web.conf", CONF.replace('"type"', '"note": "$Format:%H$", "type"'))
    git(top, "add", "-f", "net.d/web.conf", ".gitattributes")
    blob = git(top, "hash-object", "-w", "--no-filters", "net.d/profiles/web.yaml")
    git(top, "update-index", "--add", "--cacheinfo", f"100644,{blob},net.d/profiles/web.yaml")
    git(top, "commit", "-qm", "one")
    put(top, "x", OPEN)
    git(top, "replace", blob, git(top, "hash-object", "-w", "x"))
    assert data(open_revision("HEAD", Path("net.d"))) == {"web.yaml": SHUT}


def test_names_that_git_would_quote_are_names(top):
    put(top, 'net.d/profiles/é "a\\b".yaml', SHUT)
    commit(top)
    assert data(open_revision("HEAD", Path("net.d"))) == {'é "a\\b".yaml': SHUT}


def test_overrides_that_are_named_are_read_as_they_were(top, tmp_path):
    put(top, "policies/web.yaml", SHUT)
    link(top, "also", "policies")
    old = commit(top)
    put(top, "policies/web.yaml", OPEN)
    commit(top)
    for folder in ("policies", "also"):
        assert data(open_revision(old, Path("net.d"), Path(folder))) == {"web.yaml": SHUT}
    assert told("net.d", profiles=Path("none"))[0][0] == "CR715"
    assert "not inside the repository" in told("net.d", profiles=tmp_path)[0][1]


def test_git_s_traces_and_language_are_no_part_of_an_answer(top, monkeypatch):
    commit(top)
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("LANGUAGE", "de")
    assert told("net.d", "none")[0][1] == "there is no revision 'none'"


def test_what_stands_for_a_profiles_dir_is_read_in_the_revision(top):
    put(top, "net.d/web.conf", CONF.replace('"type"', '"profiles_dir": "/srv/team", "type"', 1))
    put(top, "net.d/profiles/settings.yaml", "settings: {profiles_dirs: {/srv/team: ../team}}\n")
    link(top, "team", "teams/one")
    put(top, "teams/one/web.yaml", SHUT)
    old = commit(top)
    put(top, "teams/one/web.yaml", OPEN)
    assert data(open_revision(old, Path("net.d")))["web.yaml"] == SHUT
    assert data(open_folder(top / "net.d", {}))["web.yaml"] == OPEN


@pytest.mark.parametrize("target", ["../../db.conf", "/srv/db.conf", "none.conf"])
def test_a_conf_whose_link_can_not_be_followed_is_a_party_that_nothing_is_known_of(top, target):
    link(top, "net.d/db.conf", target)
    commit(top)
    workspace = open_revision("HEAD", Path("net.d"))
    assert workspace.names == ("web",)
    assert [u.path for u in workspace.unusable] == ["HEAD:net.d/db.conf"]


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("where", [".", "net.d", ".."])
def test_the_cure_of_a_submodule_can_be_run_where_it_is_told(top, tmp_path, monkeypatch, where):
    git(tmp_path, "init", "-q", "-b", "main", "outside")
    outside = tmp_path / "outside"
    put(outside, "net.d/readme", "")
    git(outside, *LOCAL, "submodule", "add", "-q", str(top), "nets")
    commit(outside)
    monkeypatch.chdir(outside / where)
    folder = Path(os.path.relpath(outside / "nets/net.d"))
    ((_, message, _),) = told(folder)
    with pytest.raises(CompileError) as e:
        open_folder(folder, {})
    for cure in (e.value.diagnostics[0].hint, message.partition("clone: ")[2]):
        assert cure.endswith("nets submodule update --init net.d/profiles"), cure
        git(Path.cwd(), *LOCAL, *cure.split()[1:])
        assert data(open_folder(folder, {})).keys() == {"web.yaml"}
        git(outside / "nets", "submodule", "deinit", "-q", "-f", "--all")


def test_what_is_not_to_be_looked_at_is_no_revision(top):
    commit(top)
    ((code, _, _),) = told(Path("net.d"), "^HEAD")
    assert code == "CR714"


def test_a_folder_that_stands_for_a_profiles_dir_is_looked_through_as_profiles_is(top):
    put(top, "net.d/web.conf", CONF.replace('"ipam"', '"profiles_dir": "/srv/team", "ipam"'))
    put(top, "net.d/profiles/settings.yaml", "settings: {profiles_dirs: {/srv/team: profiles/team}}\n")
    put(top, "net.d/profiles/team/web.yaml", OPEN)
    commit(top)
    assert told("net.d") == [], "the folder is read, so it is not told as one that is not"
    put(top, "net.d/profiles/team/web.YML", SHUT)
    put(top, "net.d/profiles/team/more/web.yaml", SHUT)
    commit(top)
    here = [(d.code, d.message, d.hint) for d in open_folder(Path("net.d"), {}).diagnostics]
    assert sorted(told("net.d")) == sorted(here)
    assert [code for code, _, _ in here] == ["CR707"] * len(here) != []


def test_an_override_in_a_folder_of_another_name_is_told_and_no_other_yaml_there_is(top):
    put(top, "net.d/web.conf", CONF)
    put(top, "net.d/policies/web.yaml", "# ours\n---\n" + SHUT)
    put(top, "net.d/netplan/eth0.yaml", "network:\n  version: 2\n")
    put(top, "net.d/compose/web.yaml", "services: {}\nnetwork: web\n")
    put(top, "net.d/other/web.conf", CONF)
    put(top, "net.d/other/web.yaml", SHUT)
    commit(top)
    here = open_folder(Path("net.d"), {}).diagnostics
    assert [(d.code, d.path) for d in here] == [("CR707", "net.d/policies/web.yaml")]
    assert [code for code, _, _ in told("net.d")] == ["CR707"]
    assert open_folder(Path("net.d"), {}, Path("net.d/policies")).diagnostics == ()
    (top / "net.d/profiles").symlink_to("policies")
    commit(top)
    assert told("net.d") == []


def test_a_folder_beside_the_confs_that_stands_for_a_profiles_dir_is_read_and_not_told(top):
    put(top, "net.d/web.conf", CONF.replace('"ipam"', '"profiles_dir": "/srv/team", "ipam"'))
    put(top, "net.d/profiles/settings.yaml", "settings: {profiles_dirs: {/srv/team: team}}\n")
    put(top, "net.d/team/web.yaml", SHUT)
    commit(top)
    assert told("net.d") == []
