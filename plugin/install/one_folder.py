"""The name of a runtime or a folder in, this program's file put there, or taken away from there, out: `--to`."""

from __future__ import annotations

from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install.payload import is_ours, own_file

INSTALL_TO = {"rkt": Path("/usr/lib/rkt/plugins/net"), "cni": Path("/opt/cni/bin")}


def install(where: str, *, replace: bool) -> int:
    """Copy this file into a plugin folder, whole or not at all; another program's `calico` stays unless replace."""
    folder = _folder(where)
    own = own_file()
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


def uninstall(where: str) -> int:
    """Remove this program from a plugin folder; never another's."""
    there = _folder(where) / "calico"
    if not (there.exists() or there.is_symlink()):
        print(f"there is no {there}")
        return 0
    _refuse_others(there, "it is left as it is")
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
    if (there.exists() or there.is_symlink()) and not is_ours(there):
        what = "a link that leads nowhere" if not there.exists() else "not this program"
        raise CniError(Code.IO, f"{there} is there and is {what}", way_out)
