"""A plan in, its files and links on this host out: all of them, or as if nothing had been begun."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.networks.plan import New, Plan
from calico_rkt.plugin.networks.subnets import refuse_taken, taken_here
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.locks import networks_lock
from calico_rkt.plugin.store.folders import folders


def put(plan: Plan) -> None:
    """Write what is new; root does so with one plan at a time on this host, others have no folder to lock here.

    CniError where something came in the way or fails, after all was taken back, and where another network has the
    addresses by now.
    """
    signals.listen()
    with nullcontext() if os.geteuid() else networks_lock(folders()[0]):
        refuse_taken(plan.nets, taken_here())
        _put_all(plan)


def _put_all(plan: Plan) -> None:
    undo: list[Callable[[], None]] = []
    try:
        for one in plan.new:
            signals.stop_if_asked()
            _folder(one.path.parent, undo)
            _put(one)
            undo.append(one.path.unlink)
    except BaseException as e:
        for back in reversed(undo):
            with suppress(OSError):  # the next is taken back all the same
                back()
        if isinstance(e, OSError):
            raise CniError(Code.IO, f"{one.path} can not be written: {e.strerror}", "nothing is left of it") from e
        raise


def _put(one: New) -> None:
    if one.link:
        try:
            one.path.symlink_to(one.link)
        except FileExistsError as e:
            raise _taken(one.path) from e
        atomic.sync(one.path.parent)
    elif not atomic.create(one.path, one.text.encode(), 0o644):
        raise _taken(one.path)


def _taken(path: Path) -> CniError:
    return CniError(Code.IO, f"{path} is there now, and is not overwritten", "nothing is left of what was begun")


def _folder(folder: Path, undo: list[Callable[[], None]]) -> None:
    if folder.is_dir():
        return
    _folder(folder.parent, undo)
    atomic.make_folder(folder, 0o755)
    undo.append(folder.rmdir)
