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
    hooks = [{"id": i, "args": ["net.d"]} for i in ("calico-rkt-check", "calico-rkt-test")]
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
