"""Units that are installed in; enabled and started where systemd runs, or stopped and disabled, out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from calico_rkt.plugin.install.parts import UNITS

_RUNS = Path("/run/systemd/system")
_ALL = (*UNITS, "calico-rkt-agent.service")


def runs() -> bool:
    """Whether systemd is what runs this host."""
    return _RUNS.is_dir()


def enabling(new: Collection[str]) -> list[list[str]]:
    """The commands that put new units to work: at once where systemd runs, else at the next boot.

    new: the names of units that were not there. Whoever disabled one that was finds it so after an update.
    """
    if not shutil.which("systemctl"):
        return []
    fresh, now = [unit for unit in UNITS if unit in new], ["--now"] if runs() else []
    reload = [["systemctl", "daemon-reload"]] if runs() else []
    return [*reload, *([["systemctl", "enable", *now, *fresh]] if fresh else [])]


def disabling() -> list[list[str]]:
    """The commands that take the units out of work, before their files go."""
    if not shutil.which("systemctl"):
        return []
    now = ["--now"] if runs() else []
    return [["systemctl", "disable", *now, *_ALL]]


def after_removal() -> list[list[str]]:
    """What systemd has to be told once the files are gone."""
    return [["systemctl", "daemon-reload"]] if runs() and shutil.which("systemctl") else []


def run(commands: list[list[str]]) -> list[str]:
    """Run them one after the other; the words of those that failed."""
    failed = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            failed.append(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return failed
