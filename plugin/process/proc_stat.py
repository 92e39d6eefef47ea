"""A process's number in, what the kernel says of its state out."""

from __future__ import annotations

from pathlib import Path


def fields_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)): the program's name before them may have anything in it.

    OSError where the process has gone.
    """
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
