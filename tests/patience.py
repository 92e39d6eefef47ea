"""The machine's load in, how much longer than usual a thing may take out."""

from __future__ import annotations

import os
from pathlib import Path


def slowness() -> float:
    """1 on a quiet machine; on a busy one how many processes want each processor."""
    average, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    wanting = max(float(average), int(running.partition("/")[0]))
    return max(1.0, wanting / (os.cpu_count() or 1))
