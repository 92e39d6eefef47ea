"""`make bench`: our figures beside the peers', interleaved in one run, as medians and ratios.

Runs in network and mount namespaces of its own.
"""

from __future__ import annotations

import os
import shutil
import sys

from tests.bench import measure

INSIDE = "CALICO_RKT_BENCH_INSIDE"

if INSIDE not in os.environ:
    os.environ[INSIDE] = "1"
    unshare = shutil.which("unshare") or "unshare"
    os.execv(unshare, [unshare, "-nmp", "--fork", "--mount-proc", "--kill-child", sys.executable, "-m", "tests.bench"])
sys.exit(measure.main())
