"""An empty folder in, dist/calico of the release before, built from its own sources, out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BEFORE = "af6d52e"
ROOT = Path(__file__).parents[3]


def build_before(folder: Path) -> Path:
    """dist/calico of the commit, built in a worktree of its own; skips where the repository does not reach back."""
    tree = folder / "tree"
    made = subprocess.run(
        ["git", "-C", ROOT, "worktree", "add", "--detach", tree, BEFORE], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no commit {BEFORE} here (a shallow clone?): {made.stderr.strip()}")
    try:
        subprocess.run([sys.executable, "packaging/build.py"], cwd=tree, check=True, capture_output=True)
        return Path(shutil.copy(tree / "dist" / "calico", folder / "calico"))
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True, capture_output=True)
