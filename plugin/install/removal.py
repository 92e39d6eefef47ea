"""A manifest in; all that it names taken back, and what somebody changed since named, out."""

from __future__ import annotations

from contextlib import suppress

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install import manifest, payload
from calico_rkt.plugin.install.manifest import Manifest
from calico_rkt.plugin.install.parts import at, parts

_PROGRAM = {p.path for p in parts("") if not p.source}
"""Paths where a newer or older build of this program may stand by now; the commands' are links anyway."""


def removable(root: str, known: Manifest, *, changed_too: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """What would be taken away, and what would be left with the words why. changed_too: also what others changed."""
    gone, left = [], []
    for path in manifest.paths(known.entries):
        words = manifest.how_changed(root, known, path)
        ours = path in _PROGRAM and payload.is_ours(at(root, path))
        now = manifest.found(root, path)
        if now is None:
            continue
        if not words or ours or (changed_too and (now.sha256 or now.link)):
            gone.append(path)
        else:
            left.append((path, words))
    return gone, left


def take_back(root: str, known: Manifest, paths: list[str]) -> None:
    """Take these paths away, and the folders that were made for them where nobody uses them; CniError.

    What is left stays in the manifest, for another time.
    """
    try:
        for path in reversed(paths):  # the program itself last
            at(root, path).unlink(missing_ok=True)
        for path in manifest.paths(known.entries):
            atomic.sweep(at(root, path))
        left = tuple(e for e in known.entries if e.path not in paths and manifest.found(root, e.path))
        manifest.write(root, Manifest(known.version, left, known.folders))
    except OSError as e:
        raise CniError(Code.IO, f"can not remove {e.filename}: {e.strerror}", "the next uninstall goes on") from e
    for folder in sorted(known.folders, reverse=True):
        with suppress(OSError):  # in use
            at(root, folder).rmdir()
