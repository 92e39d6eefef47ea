"""What the commands of a large host take: 1,000 networks of 5 endpoints, each as the installed program works on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.host import ROOT

NETWORKS = 1000
MOST = {"status": 6.0, "apply": 6.0, "prune": 2.0, "restore": 5.0}
"""Seconds; status and apply have nothing to change. No link is there, so status looks twice, and restore in vain."""
SIZED = ROOT / "tests" / "kernel" / "support" / "sized_host.py"


def main() -> int:
    """Print a line a command."""
    print(f"a host of {NETWORKS:,} networks of 5 endpoints: seconds on the clock, of processor, at most")
    with TemporaryDirectory() as folder:
        command = ["unshare", "-n", sys.executable, str(SIZED), folder, str(NETWORKS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(Path(ROOT))})
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 1
    for name, (spent, took, *_) in json.loads(done.stdout).items():
        missed = "" if took <= MOST[name] else "   MISSED"
        print(f"{name:<58} {took:>9.2f} {spent:>9.2f} {MOST[name]:>7.1f}{missed}")
    return 0
