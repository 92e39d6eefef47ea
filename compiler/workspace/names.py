"""A folder of confs in, the names of their networks out."""

from __future__ import annotations

from pathlib import Path

from calico_rkt.compiler.conf import CONF_SUFFIXES, parse_conf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.files import entries_of, read_all


def conf_names(folder: Path) -> tuple[str, ...]:
    """The names of the networks in a folder's confs, of whatever type; what can't be read or is wrong has none."""
    names: list[str] = []
    try:
        entries = entries_of(folder)
    except CompileError:
        return ()
    for path, data in read_all(entries, CONF_SUFFIXES, []).items():
        try:
            names.append(parse_conf(data, path, preview=True)[0].name)
        except CompileError:
            continue  # told about when it is compiled itself
    return tuple(names)
