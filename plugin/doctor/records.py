"""A host's folders and records in; what keeps ADD and DEL from writing there, out."""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from calico_rkt.compiler.conf.netconf import PROFILES_DIR
from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.doctor.cures import RESTORE
from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.enforce.differences import is_unrecorded
from calico_rkt.plugin.install.manifest import MANIFEST, nearest
from calico_rkt.plugin.process.lock_holders import command_of, holders
from calico_rkt.plugin.process.locks import CALLS
from calico_rkt.plugin.process.log import log_file
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.store.folders import folders

_ROOM, _FILES = 4 << 20, 64
"""Bytes and files that a file system of ours should have left."""
_AHEAD = 120.0
"""Seconds that a file may be of the future: clocks are set while hosts run."""
_HELD = 3.0
"""Seconds after which a lock is held for long."""


def folder_modes(_: Host) -> Check:
    """Folders of ours that are no folders, or that others may write to."""
    run_dir, lib_dir = folders()
    for folder, mode in ((run_dir, 0o700), (lib_dir, 0o755), (lib_dir / "profiles", 0o755), (log_file().parent, 0o755)):
        try:
            found = folder.stat()
        except FileNotFoundError:
            continue  # whoever needs it makes it
        except OSError as e:
            yield Finding(
                "CR931", ERROR, f"{e.strerror}", "nothing can be attached", f"ls -ld {folder}", Place(str(folder))
            )
            continue
        quoted = shlex.quote(str(folder))
        if not stat.S_ISDIR(found.st_mode):
            cure = f"mv {quoted} {quoted}.was && mkdir -m {mode:o} {quoted}"
            yield Finding("CR931", ERROR, "is no folder", _without(folder), cure, Place(str(folder)))
        elif found.st_uid != os.geteuid() or found.st_mode & 0o022:
            whose = f"is of user {found.st_uid}, with mode {stat.S_IMODE(found.st_mode):o}: others may write there"
            cure = f"chown root {quoted} && chmod {mode:o} {quoted}"
            yield Finding("CR931", ERROR, whose, _without(folder), cure, Place(str(folder)), harmless=True)
        else:
            yield f"{folder} is ours alone to write"


def policy_modes(host: Host) -> Check:
    """Folders and files of what decides about containers, that anybody may write to; a group of reviewers may."""
    open_ = [path for path in _of_policy(host.decided) if _is_open(path)]
    for path in open_:
        follows = "every user of this host decides what the next apply or attach lets through"
        cure = f"chmod o-w {shlex.quote(str(path))}"
        message = "anybody may write there" if path.is_dir() else "anybody may write to it"
        yield Finding("CR931", ERROR, message, follows, cure, Place(str(path)), harmless=True)
    if not open_:
        yield "confs and overrides are not for anybody to write"


def _of_policy(there: Decided) -> Iterable[Path]:
    """The usual folders, those that are read here, and the files that were found in them."""
    confs = [*there.workspace.conf_paths.values(), *(u.path for u in there.workspace.unusable)]
    files = [Path(path) for path in (*confs, *there.workspace.data)]
    named = (Path(conf.profiles_dir) for conf in there.known.values())
    return dict.fromkeys((Path(PROFILES_DIR), *HOST_FOLDERS, *named, *(f.parent for f in files), *files))


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IWOTH)
    except OSError:  # told by who reads it
        return False


def _without(folder: Path) -> str:
    if folder == folders()[0]:
        return "every ADD and DEL is refused; containers, table and profiles were not looked at this time"
    return "calls leave no line there" if folder == log_file().parent else "no policy can be published safely"


def space(_: Host) -> Check:
    """File systems of ours that can't be written, or are full."""
    run_dir, lib_dir = folders()
    for folder in dict.fromkeys((run_dir, lib_dir, log_file().parent)):
        there = nearest(folder / "x")
        try:
            found = os.statvfs(there)
        except OSError:
            continue  # told by folder_modes
        place, quoted = Place(str(folder)), shlex.quote(str(there))
        if found.f_flag & os.ST_RDONLY or not os.access(there, os.W_OK):
            cure = f'mount -o remount,rw "$(findmnt -n -o TARGET --target {quoted})"'
            yield Finding("CR933", ERROR, "can not be written: read-only", _unwritten(folder), cure, place)
        elif found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and found.f_favail < _FILES):
            left = f"{found.f_bavail * found.f_frsize >> 10} KB and {found.f_favail} files are left"
            cure = f"df -h {quoted}; df -i {quoted}; du -xah {quoted} | sort -h | tail"
            yield Finding("CR934", ERROR, f"its file system is full: {left}", _unwritten(folder), cure, place)
        else:
            yield f"{folder} has room"


def _unwritten(folder: Path) -> str:
    run_dir, lib_dir = folders()
    if folder == run_dir:
        return "no container can be attached"
    return "no policy can be published" if folder == lib_dir else "what calls do leaves no trace"


def readable(host: Host) -> Check:
    """The records themselves."""
    run_dir = folders()[0]
    problem = host.state_problem
    if problem is not None and _is_private(run_dir):
        path = next((p for p in (run_dir / "state.log", run_dir / "state.sqlite") if str(p) in problem.msg), run_dir)
        follows = "which addresses are in use is not known, so no container can be attached or removed"
        cure = f"once no container is attached (ip link | grep crk): mv {path} {path}.was"
        place = Place(str(path)) if path != run_dir else None
        words = f"{problem.msg}{': ' if problem.details else ''}{problem.details.strip()}"
        yield Finding(
            "CR932", ERROR, words, follows, cure if place else "look at it: calico-rkt status", place, advice=True
        )
    for words in host.state.damaged if host.state else ():
        follows = "that attachment is known to nobody, and its address is kept"
        advice = "end its container: the DEL of its runtime, or calico-rkt detach, takes the record away"
        yield Finding("CR935", ERROR, words, follows, advice, advice=True)
    for words in host.state.left if host.state else ():
        yield Finding("CR936", WARNING, words, "an address stays taken in the cluster", "calico-rkt gc")
    if host.state and any(map(is_unrecorded, host.state.differs)):
        path = run_dir / "state.log"
        message = "is not there, and host ends of ours are up: nobody knows whose they are"
        follows = "no restore, gc or prune does anything, and what is attached now is all that they will know"
        advice = f"put {path} back, then {RESTORE}; or end those containers, then {RESTORE}"
        yield Finding("CR932", ERROR, message, follows, advice, Place(str(path)), advice=True)
    elif host.state:
        yield "the records can be read"


def _is_private(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def locks(_: Host) -> Check:
    """Locks that one process has held for seconds: calls wait for it, and fail then."""
    run_dir = folders()[0]
    single = (run_dir / name for name in ("policy.lock", "flows.lock", "ports.lock", "state.log"))
    ours = [str(p) for p in (*single, *sorted((run_dir / "locks").glob("*")))]
    held = set(holders(ours))
    if held:
        time.sleep(_HELD)
        held &= set(holders(ours))
    for lock, pid in sorted(held):
        message = f"process {pid} holds this lock for {_HELD:.0f} s and more: {command_of(pid)}"
        follows = f"every call that needs it waits until then, and fails after {CALLS:.0f} s"
        yield Finding("CR937", WARNING, message, follows, f"ps -o pid,etime,stat,wchan:20,args -p {pid}", Place(lock))
    if not held:
        yield "no lock is held for long"


def clock(_: Host) -> Check:
    """A clock that was set back: what is written now is older than what is there."""
    run_dir, lib_dir = folders()
    ahead: list[tuple[float, str]] = []
    for path in (run_dir / "state.log", Path(MANIFEST), *sorted((lib_dir / "profiles").glob("*.yaml"))):
        try:
            ahead.append((path.stat().st_mtime - time.time(), str(path)))
        except OSError:
            continue
    seconds, newest = max(ahead, default=(0.0, ""))
    if seconds > _AHEAD:
        message = f"was written {seconds:.0f} s from now: the clock was set back"
        follows = "certificates and tokens of a cluster may count as not yet valid, and logs are out of order"
        yield Finding("CR938", WARNING, message, follows, "date; timedatectl set-ntp true", Place(newest))
    else:
        yield "the clock is behind no file of ours"
