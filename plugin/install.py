"""The name of a runtime or a folder in, dist/calico put there out."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import calico_rkt
from calico_rkt.plugin.process import atomic
from calico_rkt.plugin.result import CniError, Code

INSTALL_TO = {"rkt": Path("/usr/lib/rkt/plugins/net"), "cni": Path("/opt/cni/bin")}


def install(where: str) -> int:
    """Copy this file into a plugin folder, whole or not at all."""
    folder = INSTALL_TO.get(where, Path(where))
    own = Path(sys.argv[0]).resolve()
    if not zipfile.is_zipfile(own):
        own = Path(calico_rkt.__file__).resolve().parents[2] / "dist" / "calico"
    if not own.is_file():
        raise CniError(Code.IO, "dist/calico is not built: make binary")
    try:
        atomic.make_folder(folder, 0o755)
        atomic.replace(folder / "calico", own.read_bytes(), 0o755)
    except OSError as e:
        raise CniError(Code.IO, f"can not install into {folder}: {e.strerror}") from e
    print(f"installed {folder / 'calico'}")
    return 0
