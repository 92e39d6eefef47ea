"""What somebody calls a network namespace in; its path, and the container id that follows from it alone, out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.errors import CniError, Code

NAMED = Path("/run/netns")
"""Where `ip netns` keeps its namespaces."""
_ID = re.compile(r"[a-zA-Z0-9_.\-]+\Z")
_PROCESS = re.compile(r"/proc/([0-9]+)/ns/net\Z")


@dataclass(frozen=True, slots=True)
class Namespace:
    """path is absolute. id is the same for every way to write the path, and whether or not anything is there now."""

    path: str
    id: str


def namespace(text: str) -> Namespace:
    """A path has a slash; a word of digits is a pid; every other word is a name of `ip netns`.

    CniError 4 for a word of digits that is such a name, too, and for what is none of the three.
    """
    if not text or "\0" in text or "\n" in text:
        raise CniError(Code.INVALID_ENVIRONMENT, f"{text!r} is no network namespace", _FORMS)
    if "/" in text:
        return _at(Path(text))
    if text in (".", ".."):
        raise CniError(Code.INVALID_ENVIRONMENT, f"{text!r} is a folder, no network namespace", _FORMS)
    if not text.isascii() or not text.isdigit():
        return _at(NAMED / text)
    if os.path.lexists(NAMED / text):
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"{text} may be a pid, and is a name of ip netns, too",
            f"write {NAMED / text}, or /proc/{text}/ns/net",
        )
    return _at(Path("/proc", str(int(text)), "ns/net"))


_FORMS = "a path such as /run/netns/c1, a name of ip netns such as c1, or the pid of a process in it"


def _at(path: Path) -> Namespace:
    """Links in the folder's path are followed, those of the last part are not: it is gone when the namespace is."""
    if not path.name:
        raise CniError(Code.INVALID_ENVIRONMENT, f"{path} is a folder, no network namespace", _FORMS)
    real = Path(os.path.realpath(path.parent), path.name)
    process = _PROCESS.match(str(real))
    if process:
        return Namespace(str(real), f"pid-{process[1]}")
    if real.parent == Path(os.path.realpath(NAMED)) and _ID.match(real.name):
        return Namespace(str(real), f"netns-{real.name}")
    return Namespace(str(real), f"path-{object_id(str(real))}")
