"""The agent's own file in; the kernel compared with all that is published, and restored where it differs, out."""

from __future__ import annotations

import subprocess
import sys

from calico_rkt.plugin.agent.gauges import no_cni
from calico_rkt.plugin.process.log import LOG

_PATIENCE = 600.0


def restored_if_needed(own: str) -> bool:
    """Whether something differed and was restored; what it was is in the log.

    In a process of its own: what a comparison of a thousand networks needs of memory and of libnftables, no call has
    to wait for.
    """
    done = subprocess.run(
        [sys.executable, "-IS", own, "restore", "--if-needed"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        env=no_cni(),
    )
    for line in done.stderr.splitlines():
        LOG.warning("%s", line)
    return "restored" in done.stdout
