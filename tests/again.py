"""The tests that failed in the last run in; whether they pass alone, as often as asked, out: python -m tests.again.

Some thousands of tests run side by side on two processors. One that fails there and passes alone, each time, met a busy
machine: it is named, since it is a fault of that test, and does not stop a merge. Of more than a few nothing is tried:
that is no chance.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST, TIMES = 3, 2
"""Failed tests that are tried again, and how often each has to pass."""
_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """0 where all that failed pass each time; 1 where one fails again, where too many failed, or none is known."""
    try:
        failed = sorted(json.loads(_FAILED.read_text()))
    except (OSError, ValueError):
        failed = []
    if not 0 < len(failed) <= MOST:
        print(f"again: {len(failed)} tests failed; 1 to {MOST} are tried again")
        return 1
    for turn in range(TIMES):
        print(f"again: {turn + 1} of {TIMES}, alone: {' '.join(failed)}", flush=True)
        if subprocess.run([sys.executable, "-m", "pytest", "-q", *failed], check=False).returncode:
            return 1
    print(f"again: UNSTEADY, each passed {TIMES} times alone; mend them: {' '.join(failed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
