"""A plan in, the host as it says out: all of it, or as if nothing had been begun."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import calico_rkt
from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install import manifest
from calico_rkt.plugin.install.manifest import MANIFEST, Manifest
from calico_rkt.plugin.install.parts import at
from calico_rkt.plugin.install.plan import Plan, Step
from calico_rkt.plugin.process import signals


def put(root: str, plan: Plan, known: Manifest) -> Manifest:
    """Do what the plan says; the manifest of what is installed then.

    CniError where something fails or a signal comes, after all was taken back. Where this process is killed, the
    manifest knows what was there and what was to be: the next install or uninstall goes on from that.
    """
    new = tuple(s.new for s in plan.steps if s.act not in ("remove", "keep"))
    kept = tuple(e for e in known.entries if any(s.act == "keep" and s.new.path == e.path for s in plan.steps))
    undo: list[Callable[[], None]] = []
    signals.listen()
    try:
        folders = (*known.folders, *_lacking(root, plan))
        for folder in folders_of(MANIFEST):
            _make(root, folder, undo)
        undo.append(lambda: manifest.write(root, known))
        manifest.write(root, Manifest(known.version, (*known.entries, *new), folders))
        for folder in folders:
            _make(root, folder, undo)
        for step in plan.steps:
            signals.stop_if_asked()
            if step.changes:
                _do(root, step, undo)
        done = Manifest(calico_rkt.__version__, (*new, *kept), folders)
        manifest.write(root, done)
    except BaseException as e:
        for back in reversed(undo):
            with suppress(OSError):  # the next is taken back all the same
                back()
        if isinstance(e, OSError):
            where = e.filename2 or e.filename or ""
            raise CniError(Code.IO, f"can not install {where}: {e.strerror}", "what was begun is taken back") from e
        raise
    return done


def folders_of(path: str) -> list[str]:
    """The folders that a path is in, the outermost first, without /."""
    return [str(folder) for folder in reversed(Path(path).parents)][1:]


def _lacking(root: str, plan: Plan) -> list[str]:
    paths = (MANIFEST, *(s.new.path for s in plan.steps if s.changes and s.act != "remove"))
    wanted = dict.fromkeys(folder for path in paths for folder in folders_of(path))
    return [folder for folder in wanted if not at(root, folder).is_dir()]


def _make(root: str, folder: str, undo: list[Callable[[], None]]) -> None:
    place = at(root, folder)
    if not place.is_dir():
        atomic.make_folder(place, 0o755)
        undo.append(place.rmdir)


def _do(root: str, step: Step, undo: list[Callable[[], None]]) -> None:
    place = at(root, step.new.path)
    atomic.sweep(place)
    undo.append(_restoring(place))
    if step.act == "remove":
        place.unlink()
    elif step.new.link:
        _link(place, step.new.link)
    else:
        atomic.replace(place, step.data, step.mode)


def _restoring(place: Path) -> Callable[[], None]:
    """What puts back what is at this place now."""
    if place.is_symlink():
        target = str(place.readlink())
        return lambda: _link(place, target)
    if not place.exists():
        return lambda: place.unlink(missing_ok=True)
    data, mode = place.read_bytes(), place.stat().st_mode & 0o7777
    return lambda: atomic.replace(place, data, mode)


def _link(place: Path, target: str) -> None:
    """A link, in the place of what is there."""
    fresh = atomic.beside(place)
    fresh.symlink_to(target)
    try:
        fresh.replace(place)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    atomic.sync(place.parent)
