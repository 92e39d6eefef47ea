"""An answer about files in, given again each time one of them changes, out: `calico-rkt check --watch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

from calico_rkt.compiler.cli.process import pause, write_stdout

PAUSE = 0.3
"""Seconds between two looks; a change that is younger may still go on, and is waited for."""
_CLEARED = "\x1b[2J\x1b[3J\x1b[H"

Fingerprint = Mapping[str, tuple[int, int, int]]
"""Of each path that is there: its inode, size and time of change in ns."""


def watch(folders_of: Callable[[], Collection[str]], answer: Callable[[], object]) -> NoReturn:
    """Answer, and again whenever something in the folders changes; until Ctrl-C, or until nobody reads on.

    folders_of: which folders the next answer will read. On a terminal each answer begins on an empty screen.
    """
    while True:
        folders = folders_of()
        before = fingerprint(folders)
        if sys.stdout.isatty():
            write_stdout(_CLEARED)
        answer()
        sys.stdout.flush()
        print("calico-rkt: waiting for a change; Ctrl-C ends", file=sys.stderr, flush=True)
        changed = _changed(folders, before)
        if not sys.stdout.isatty():
            write_stdout(f"\nchanged: {', '.join(changed)}\n")


def _changed(folders: Collection[str], before: Fingerprint) -> list[str]:
    """The paths that differ, as soon as nothing more has changed for a pause."""
    last, now = before, before
    while now == before or now != last:
        pause(PAUSE)
        last, now = now, fingerprint(folders)
    return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))


def fingerprint(folders: Collection[str]) -> Fingerprint:
    """Of the folders and what stands in them; through links. What can't be looked at is not there."""
    found: dict[str, tuple[int, int, int]] = {}
    for folder in folders:
        for path in (folder, *_inside(folder)):
            try:
                seen = os.stat(path)  # noqa: PTH116 - a thousand files three times a second
            except (OSError, ValueError):
                continue
            found[path] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def _inside(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except (OSError, ValueError):
        return []
