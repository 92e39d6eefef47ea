"""The own file of this program in; its bytes, what is in its share/, and whether another file is of ours, out."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from pathlib import Path

import calico_rkt
from calico_rkt.plugin.errors import CniError, Code

_OURS = "calico_rkt/plugin/main.py"
"""What only this program's file has inside."""
_BUILD = re.compile(r'^calico_rkt\.BUILD = "([0-9a-f]+)"', re.MULTILINE)


def own_file() -> Path:
    """dist/calico that runs, or that of the source tree that runs; CniError where there is none."""
    own = Path(sys.argv[0]).resolve()
    if not is_ours(own):
        own = Path(calico_rkt.__file__).resolve().parents[2] / "dist" / "calico"
    if not own.is_file():
        raise CniError(
            Code.IO,
            "dist/calico is not built: make binary",
            "a Python package of calico-rkt (pip, a wheel) has the commands only, and no plugin to install",
        )
    return own


def share(own: Path) -> dict[str, bytes]:
    """The files that the program carries beside itself, by name."""
    with zipfile.ZipFile(own) as inside:
        names = [name for name in inside.namelist() if name.startswith("share/")]
        return {name.removeprefix("share/"): inside.read(name) for name in names}


def is_ours(path: Path) -> bool:
    """Whether a file is this program, of whatever version; stock Calico's plugin has the same name."""
    try:
        with zipfile.ZipFile(path) as inside:
            return _OURS in inside.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def build_of(path: Path) -> str:
    """The build of a file of ours, as its launcher and its agent compare it; empty where it says none."""
    try:
        with zipfile.ZipFile(path) as inside:
            found = _BUILD.search(inside.read("__main__.py").decode(errors="replace"))
    except (OSError, KeyError, zipfile.BadZipFile):
        return ""
    return found[1] if found else ""


def checksum(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
