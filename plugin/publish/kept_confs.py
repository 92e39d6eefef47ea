"""The confs that people keep for this host in; those that a runtime has deleted put back where it reads them, out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.files import read_file, same_folder
from calico_rkt.compiler.workspace.host import KEPT, LIVE, host_confs, read_by
from calico_rkt.plugin.errors import CniError, Code


def put_back() -> Iterator[tuple[str, Path | CniError]]:
    """Each kept conf whose network has none where runtimes read them, and where it is now, or why it isn't.

    A file of that name that is something else stays. Of a conf that is there and can't be used nobody knows that its
    network has none, so nothing is put beside one that has the name, or none that can be told.
    """
    found = host_confs((), os.environ)
    unclear = [bad for bad in found.unusable if not same_folder(Path(bad.path).parent, KEPT)]
    for name, kept in found.paths.items():
        if read_by(kept):
            continue
        there = LIVE[1] / Path(kept).name
        bad = next((bad for bad in unclear if bad.name in ("", name)), None)
        try:
            if bad is not None:
                raise CniError(Code.INVALID_CONF, f"{bad.words}, and may be the conf of network {name!r}")
            atomic.make_folder(there.parent, 0o755)
            if not atomic.create(there, read_file(Path(kept)), 0o644):
                raise CniError(Code.IO, f"{there} is there, and is not the conf of network {name!r}")
        except CniError as e:
            yield kept, e
        except CompileError as e:
            yield kept, CniError(Code.IO, e.diagnostics[0].message)
        except OSError as e:
            yield kept, CniError(Code.IO, f"{there} can not be written: {e.strerror}")
        else:
            yield kept, there
