"""A recorded endpoint in; when its network namespace was made, as far as files tell that, out."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.proc_stat import fields_of

_PROCESS = re.compile(r"/proc/(\d+)/ns/net\Z")


def since(endpoint: Endpoint) -> str:
    """Local time as `2026-11-26 21:00:07`; empty where nothing tells it.

    A mounted namespace file keeps the time that it was made at. One of /proc is made anew for who looks, and so says
    nothing: there it is the start of the process.
    """
    process = _PROCESS.match(endpoint.netns)
    try:
        at = _started(int(process[1])) if process else Path(endpoint.netns).stat().st_mtime
        return datetime.fromtimestamp(at).isoformat(" ", "seconds")  # noqa: DTZ006 - people read it on this host
    except (OSError, ValueError, IndexError, OverflowError):
        return ""


def _started(pid: int) -> float:
    """Field 22 of proc(5) is in ticks since the boot."""
    ticks = int(fields_of(pid)[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
