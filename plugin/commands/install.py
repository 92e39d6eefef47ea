"""The name of a runtime or a folder in, dist/calico put there, or taken away from there, out."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import calico_rkt
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import atomic

INSTALL_TO = {"rkt": Path("/usr/lib/rkt/plugins/net"), "cni": Path("/opt/cni/bin")}
_OURS = "calico_rkt/plugin/main.py"
"""What only this program's file has inside."""


def install(where: str, *, replace: bool) -> int:
    """Copy this file into a plugin folder, whole or not at all; another program's `calico` stays unless replace."""
    folder = _folder(where)
    own = Path(sys.argv[0]).resolve()
    if not _is_ours(own):
        own = Path(calico_rkt.__file__).resolve().parents[3] / "dist" / "calico"
    if not own.is_file():
        raise CniError(Code.IO, "dist/calico is not built: make binary")
    there = folder / "calico"
    if not replace:
        _refuse_others(there, "--replace puts this one in its place; Calico's own plugin has that very name")
    try:
        atomic.make_folder(folder, 0o755)
        atomic.replace(there, own.read_bytes(), 0o755)
    except OSError as e:
        raise CniError(Code.IO, f"can not install into {folder}: {e.strerror}") from e
    print(f"installed {there}")
    return 0


def uninstall(where: str, *, force: bool) -> int:
    """Remove this program from a plugin folder; never another's, and not where a DEL would need it, unless force."""
    there = _folder(where) / "calico"
    if not (there.exists() or there.is_symlink()):
        print(f"there is no {there}")
        return 0
    _refuse_others(there, "it is left as it is")
    attached = 0 if force else _attached()
    if attached:
        raise CniError(
            Code.IO,
            f"{attached} containers are attached: without {there} their runtimes can not take them away",
            "stop them first, and calico-rkt gc; --force removes it all the same",
        )
    try:
        there.unlink()
        atomic.sync(there.parent)
    except OSError as e:
        raise CniError(Code.IO, f"can not remove {there}: {e.strerror}") from e
    print(f"removed {there}")
    return 0


def _folder(where: str) -> Path:
    """A word is a runtime's name, or a folder that is there; a path may be one that is to be made."""
    if where in INSTALL_TO:
        return INSTALL_TO[where]
    if "/" not in where and (not where or not Path(where).is_dir()):
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"{where!r} is neither {' nor '.join(INSTALL_TO)} nor a folder",
            "a folder that is to be made is named by a path, such as ./plugins",
        )
    return Path(where)


def _refuse_others(there: Path, way_out: str) -> None:
    if (there.exists() or there.is_symlink()) and not _is_ours(there):
        what = "a link that leads nowhere" if not there.exists() else "not this program"
        raise CniError(Code.IO, f"{there} is there and is {what}", way_out)


def _is_ours(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as inside:
            return _OURS in inside.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _attached() -> int:
    """How many attachments this host's records know, of its own datastore and of clusters."""
    from calico_rkt.plugin.store.folders import RECORDS
    from calico_rkt.plugin.store.local import open_local, open_records

    stores = (open_local(), *map(open_records, RECORDS))
    return sum(len(s.endpoints()) for s in stores if s.is_there())
