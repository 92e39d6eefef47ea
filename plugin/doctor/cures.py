"""Findings whose cure takes nothing away in; each cure done, and what it said where it failed, out."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from calico_rkt.plugin.doctor.finding import Finding, Seen

_OURS = "calico-rkt"
RESTORE = f"{_OURS} restore"


def spared(seen: Iterable[Seen], running: Collection[str]) -> Iterator[Seen]:
    """What was seen; running are networks that a restore would cut off, so that none is harmless."""
    for one in seen:
        if running and isinstance(one, Finding) and one.harmless and one.cure == RESTORE:
            first = f"{one.follows}; a restore would cut off {', '.join(sorted(running))}: cure that first"
            yield replace(one, harmless=False, follows=first)
        else:
            yield one


def cures_of(found: Iterable[Finding]) -> tuple[str, ...]:
    """The commands that --fix runs, each once, in the order of their findings."""
    return tuple(dict.fromkeys(f.cure for f in found if f.harmless))


def cure(commands: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Run them one after the other: each with why it failed, or nothing."""
    for command in commands:
        done = subprocess.run(_argv(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        yield command, (said or f"exit status {done.returncode}") if done.returncode else ""


def _argv(command: str) -> list[str]:
    """As a shell would, but that our own command is this very program: it may be on no PATH."""
    words = shlex.split(command)
    if words[0] != _OURS:
        return ["sh", "-c", command]
    own = sys.argv[0]
    return [*((own,) if os.access(own, os.X_OK) else (sys.executable, own)), *words[1:]]
