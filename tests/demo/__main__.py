"""`make demo`: two example networks through the built plugin, real packets, and the matrix of both views.

Runs in network and mount namespaces of its own; the host is left as it was.
"""

from __future__ import annotations

import os
import shutil
import sys

from tests.demo import show

INSIDE = "CALICO_RKT_DEMO_INSIDE"

if INSIDE not in os.environ:
    os.environ[INSIDE] = "1"
    flags = "-nmp" if os.geteuid() == 0 else "-Urnmp"
    unshare = shutil.which("unshare") or "unshare"
    os.execv(unshare, [unshare, flags, "--fork", "--mount-proc", "--kill-child", sys.executable, "-m", "tests.demo"])
sys.exit(show.main())
