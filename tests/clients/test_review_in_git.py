"""Where reviewers live: pre-commit, git's textconv, and the script of the GitHub action, with the real programs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
EXAMPLE = ROOT / "docs" / "examples" / "review"
WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def run(*args, cwd, env=None, check=True):
    environ = {**os.environ, **WHO, "PATH": f"{BIN}:{os.environ['PATH']}", **(env or {})}
    done = subprocess.run(args, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def repository(tmp_path):
    """A repository with the example's `before` committed as net.d."""
    shutil.copytree(EXAMPLE / "before", tmp_path / "net.d")
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    run("git", "commit", "-qm", "before", cwd=tmp_path)
    return tmp_path


def widen(repository):
    shutil.copy(EXAMPLE / "after" / "profiles" / "names.yaml", repository / "net.d" / "profiles" / "names.yaml")


def test_pre_commit_runs_both_hooks(repository, tmp_path_factory):
    source = tmp_path_factory.mktemp("hooks") / "calico-rkt"
    run("git", "clone", "-q", str(ROOT), str(source), cwd=repository)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", source)
    run("git", "add", "-A", cwd=source)
    run("git", "commit", "-q", "--allow-empty", "-m", "hooks", cwd=source)
    revision = run("git", "rev-parse", "HEAD", cwd=source).stdout.strip()
    hooks = [{"id": i, "args": ["-C", "net.d"]} for i in ("calico-rkt-check", "calico-rkt-test")]
    config = {"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    run("git", "add", "-A", cwd=repository)
    env = {"PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("home"))}
    run("pre-commit", "run", "--all-files", cwd=repository, env=env)
    widen(repository)
    run("git", "add", "-A", cwd=repository)
    done = run("pre-commit", "run", cwd=repository, env=env, check=False)
    assert done.returncode == 1
    assert done.stdout.count("Failed") == 2
    assert "nobody outside the office reaches the ledger' does not hold" in done.stdout


def test_git_diff_shows_compiled_profiles(repository):
    (repository / ".gitattributes").write_text("net.d/*.conf diff=calico-rkt\n")
    run("git", "config", "diff.calico-rkt.textconv", "compile-profile --profiles net.d/profiles", cwd=repository)
    conf = repository / "net.d" / "shop.conf"
    conf.write_text(conf.read_text().replace('"shop"', '"metrics"'))
    done = run("git", "diff", cwd=repository).stdout
    assert "-  name: shop\n+  name: metrics\n" in done
    assert "labelsToApply:" in done


@pytest.mark.parametrize(
    ("fail_on", "widened", "status"),
    [
        ("nothing", False, 0),
        ("any", False, 0),
        ("widened", True, 1),
        ("outside-guardrails", True, 1),
        ("typo", False, 2),
    ],
)
def test_the_action_says_what_a_change_lets_through(repository, fail_on, widened, status):
    if widened:
        widen(repository)
    report = repository / "report.md"
    env = {
        "WORKSPACE": "net.d",
        "BASE": "main",
        "FAIL_ON": fail_on,
        "CALICO_RKT": str(BIN / "calico-rkt"),
        "REPORT": str(report),
        "GITHUB_STEP_SUMMARY": str(repository / "summary.md"),
    }
    done = run("bash", str(ROOT / "packaging" / "review.sh"), cwd=repository, env=env, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    if status == 2:
        return
    assert ("TCP port 5432 from 192.0.2.128/25" in report.read_text()) is widened
    assert report.read_text() == (repository / "summary.md").read_text()
    where = "::error file=net.d/profiles/names.yaml,line=9,col=13"
    assert (where in done.stdout) is widened


def test_the_action_is_well_formed():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
        assert "${{" not in step["run"], "an input goes through the environment: in the text it would be code"


def test_git_diff_goes_on_where_a_conf_does_not_compile(repository):
    (repository / ".gitattributes").write_text("net.d/*.conf diff=calico-rkt\n")
    convert = "compile-profile --textconv --profiles net.d/profiles"
    run("git", "config", "diff.calico-rkt.textconv", convert, cwd=repository)
    conf = repository / "net.d" / "shop.conf"
    conf.write_text(conf.read_text().replace('"calico"', '"calico",,'))
    other = repository / "net.d" / "ledger.conf"
    other.write_text(other.read_text().replace('"ledger"', '"metrics"'))
    done = run("git", "diff", cwd=repository).stdout
    assert "+does not compile:\n+CR1" in done
    assert "+  name: metrics\n" in done
    assert '"calico",,' in done


@pytest.mark.parametrize("base", ["main", ""])
def test_a_mistyped_fail_on_fails_whether_there_is_a_base_or_not(repository, base):
    env = {"WORKSPACE": "net.d", "BASE": base, "FAIL_ON": "widend", "CALICO_RKT": str(BIN / "calico-rkt")}
    env |= {"REPORT": str(repository / "report.md"), "GITHUB_STEP_SUMMARY": os.devnull}
    done = run("bash", str(ROOT / "packaging" / "review.sh"), cwd=repository, env=env, check=False)
    assert done.returncode == 2
    assert "fail-on is 'widend'" in done.stdout


GH = """#!{python}
import json, os, pathlib, sys
there = pathlib.Path(os.environ["COMMENTS"])
args = sys.argv[1:]
if os.environ.get("READ_ONLY") and any(a.startswith("body=@") for a in args):
    sys.exit("HTTP 403: Resource not accessible by integration")
comments = json.loads(there.read_text())
body = next((pathlib.Path(a.removeprefix("body=@")).read_text() for a in args if a.startswith("body=@")), None)
if len(body or "") > 65_536:
    sys.exit("body is too long (maximum is 65536 characters)")
if body is None:
    print(*[c["id"] for c in comments if c["body"].startswith(os.environ["MARK"])], sep="\\n")
elif "PATCH" in args:
    number = int(next(a for a in args if "/issues/comments/" in a).rpartition("/")[2])
    next(c for c in comments if c["id"] == number)["body"] = body
else:
    comments.append({{"id": len(comments) + 1, "body": body}})
there.write_text(json.dumps(comments))
"""
"""GitHub's own program and what it talks to are not here: a list of comments in a file, in its place."""


def test_the_action_edits_its_own_comment_and_no_other(tmp_path):
    import json

    (tmp_path / "bin").mkdir()
    gh = tmp_path / "bin" / "gh"
    gh.write_text(GH.format(python=sys.executable))
    gh.chmod(0o755)
    there, report = tmp_path / "comments", tmp_path / "report.md"
    there.write_text(json.dumps([{"id": 1, "body": "another bot's"}]))

    def comment(text, workspace="net.d", **env):
        report.write_text(text)
        values = {"PATH": f"{gh.parent}:{os.environ['PATH']}", "COMMENTS": str(there), "REPORT": str(report)}
        values |= {"GITHUB_REPOSITORY": "o/r", "PULL_REQUEST": "7", "WORKSPACE": workspace, **env}
        return run("bash", str(ROOT / "packaging" / "comment.sh"), cwd=tmp_path, env=values)

    comment("first")
    comment("other", workspace="other.d")
    comment("second")
    bodies = [c["body"].splitlines()[-1] for c in json.loads(there.read_text())]
    assert bodies == ["another bot's", "second", "other"]
    comment("")
    comment("", workspace="new.d")
    bodies = [c["body"].splitlines()[-1] for c in json.loads(there.read_text())]
    assert bodies == ["another bot's", bodies[1], "other"], "nothing is said where nothing was"
    assert "could not be told" in bodies[1], "what stood there is of an older push"
    comment("".join(f"| way {n} | ä |\n" for n in range(10_000)))
    mark, cut, _, *lines = json.loads(there.read_text())[1]["body"].splitlines()
    assert (mark, "all of it is in the summary" in cut) == ("<!-- calico-rkt review of net.d -->", True)
    assert lines == [f"| way {n} | ä |" for n in range(len(lines))], "whole lines"
    assert len(lines) > 3_000
    done = comment("third", READ_ONLY="1")
    assert done.returncode == 0
    assert "::warning title=calico-rkt::" in done.stdout


def test_a_commit_that_only_deletes_an_override_is_looked_at():
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        assert hook["always_run"] is True
