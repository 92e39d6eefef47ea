"""A folder's lists of plugins in; what is to be said of those whose runtimes read more plugins from a folder, out.

libcni 1.2 and later add `NAME/*.conf` beside a list to its plugins, unless it has `"loadOnlyInlinedPlugins": true`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

from calico_rkt.compiler.conf.shape import names_us, shape_of
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, warning
from calico_rkt.compiler.ir.ids import NETWORK_NAME
from calico_rkt.compiler.workspace.files import entries_of, read_file
from calico_rkt.compiler.workspace.place import Place

_SUFFIX = ".conflist"


def plugin_folders(folder: Place, lists: Mapping[str, bytes]) -> Iterator[Diagnostic]:
    """Of each list that is ours, or would be by that folder: lists are the bytes of conf files, by path."""
    for path, data in lists.items():
        name = _name(data) if path.endswith(_SUFFIX) else ""
        found = _confs_in(folder / name) if name else []
        if not found:
            continue
        hint = 'put them into the list, and set "loadOnlyInlinedPlugins": true'
        files = ", ".join(str(p) for p in found)
        if shape_of(path, data).ours:
            message = f"libcni 1.2 and later run more plugins for {name!r}, which are not read here: {files}"
            yield warning("CR227", message, path=path, hint=hint)
        elif any(_is_ours(p) for p in found):
            message = f"the network {name!r} has its plugin calico beside its list, which is not read here: {files}"
            yield error("CR228", message, path=path, hint=hint)


def _name(data: bytes) -> str:
    """The name of a list to which a folder is added; empty where none is."""
    with suppress(ValueError, RecursionError):
        loaded = json.loads(data)
        name = loaded.get("name") if isinstance(loaded, dict) else None
        alone = str(loaded.get("loadOnlyInlinedPlugins", False)).lower() == "true" if name else True
        if isinstance(name, str) and not alone and NETWORK_NAME.fullmatch(name):
            return name
    return ""


def _confs_in(folder: Place) -> list[Place]:
    with suppress(CompileError, OSError):
        if folder.is_dir():
            return [p for p in entries_of(folder) if p.suffix == ".conf" and p.is_file()]
    return []


def _is_ours(path: Place) -> bool:
    with suppress(CompileError):
        data = read_file(path)
        return names_us(data) and shape_of(str(path), data).ours
    return False
