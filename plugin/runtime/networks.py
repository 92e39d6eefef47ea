"""The name of a network in; the plugins that its conf lists, found where every command finds confs, out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.compiler.diagnostics import render_diagnostics
from calico_rkt.compiler.workspace.chains import chain_in
from calico_rkt.compiler.workspace.host import HOST_FOLDERS, host_confs
from calico_rkt.plugin.errors import CniError, Code


def chain_of_network(name: str, folders: Sequence[Path]) -> Chain:
    """The plugins of a network, by its conf in these folders or, where there are none, in those of this host.

    CniError 7 where no conf has this name, or it can't be used, 2 where runtimes run more plugins than it lists;
    CompileError where no runtime would take its file.
    """
    for folder in folders:
        if not folder.is_dir():
            raise CniError(Code.IO, f"{folder} is no folder of confs")
    found = host_confs(folders, os.environ)
    chain = chain_in(found, name)
    if chain is not None:
        for told in found.diagnostics:
            if told.code == "CR227" and told.path == found.paths[name]:
                raise CniError(Code.UNSUPPORTED_FIELD, told.message, told.hint)
        return chain
    for bad in found.unusable:
        if bad.name == name:
            raise CniError(
                Code.INVALID_CONF,
                f"{bad.words}, so nothing is attached to {name!r}",
                render_diagnostics(bad.diagnostics),
            )
    where = ", ".join(map(str, folders or HOST_FOLDERS))
    known = ", ".join(sorted(found.paths)) or "none"
    unread = "".join(f"\n{bad.words}" for bad in found.unusable)
    raise CniError(Code.INVALID_CONF, f"no conf names network {name!r}", f"looked in {where}; known: {known}{unread}")
