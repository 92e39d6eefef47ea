"""rkt, where it is installed; what it reads out."""

from __future__ import annotations

from collections.abc import Iterator

from calico_rkt.compiler.workspace.host import LIVE
from calico_rkt.plugin.doctor.runtimes.reader import Folder, Runtime, Wrong, installed


def reads() -> Iterator[Runtime | Wrong]:
    """Rkt's folders are the same on each host."""
    if installed("rkt"):
        yield Runtime("rkt", (Folder(str(LIVE[0])),), (Folder("/usr/lib/rkt/plugins/net"),), suffixes=(".conf",))
