"""The host in, what decides on it out: the confs of its folders, and the overrides that each of them names."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from calico_rkt.compiler.conf.netconf import PROFILES_DIR, NetConf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, warning
from calico_rkt.compiler.workspace.confs import Confs, Unusable, conf_files, not_of_rkt, read_confs, readers
from calico_rkt.compiler.workspace.files import PROFILES, entries_of, read_profiles, same_folder

LIVE = (Path("/etc/rkt/net.d"), Path("/etc/cni/net.d"))
"""Where rkt and the other runtimes read their confs."""
KEPT = Path("/etc/calico-rkt/networks")
"""Where people keep confs that a runtime may delete from LIVE: podman's `network rm` and `network prune` do."""
HOST_FOLDERS = (*LIVE, KEPT)
"""Where the confs of this host are. A kept one counts where its network has none in LIVE."""


def is_host_folder(folder: Path) -> bool:
    """Whether this is one of HOST_FOLDERS, by whatever path."""
    return any(same_folder(folder, known) for known in HOST_FOLDERS)


def host_confs(folders: Sequence[Path], environ: Mapping[str, str]) -> Confs:
    """The confs of these folders of this host, or of HOST_FOLDERS; the first file of a network counts, as for rkt.

    A folder that can't be read is among what can't be used.
    """
    files: dict[str, bytes] = {}
    unusable: list[Unusable] = []
    told: list[Diagnostic] = []
    for folder in host_folders(folders):
        try:
            here = conf_files(folder, unusable)
            files.update(here)
            told += _plugin_folders(folder, here)
        except CompileError as e:
            unusable.append(Unusable(str(folder), "", e.diagnostics))
    found = read_confs(files, environ, tuple(unusable))
    of_rkt = [p for p in found.paths.values() if same_folder(Path(p).parent, HOST_FOLDERS[0])]
    return replace(found, diagnostics=(*found.diagnostics, *not_of_rkt(of_rkt), *told))


def _plugin_folders(folder: Path, files: Mapping[str, bytes]) -> list[Diagnostic]:
    if not any(path.endswith(".conflist") for path in files):
        return []
    # Here, not above: an ADD and compile-profile read one conf.
    from calico_rkt.compiler.workspace.plugin_folders import plugin_folders

    return list(plugin_folders(folder, files))


def overrides_of(conf: NetConf) -> dict[str, bytes]:
    """The files that say what a conf's network may do on this host, by path; CompileError where these can't be read.

    A folder that the conf names has to be there: it may be a mount that is late.
    """
    return read_profiles(Path(conf.profiles_dir), may_be_absent=not conf.profiles_named)


def host_folders(folders: Sequence[Path]) -> tuple[Path, ...]:
    """These folders, or those of HOST_FOLDERS that are there."""
    return tuple(dict.fromkeys(folders)) or tuple(f for f in HOST_FOLDERS if os.path.lexists(f))


def read_by(path: str) -> str:
    """Who reads the conf file of this path, in words; nobody reads what is kept."""
    return "" if same_folder(Path(path).parent, KEPT) else readers(path)


def kept_alone(confs: Confs) -> list[Diagnostic]:
    """A warning for each network of this host that no runtime has a conf of; confs are those of all HOST_FOLDERS."""
    message = "the network {!r} has its conf here alone, where no runtime reads it"
    hint = f"calico-rkt restore puts it into {LIVE[1]}; who gives the network up deletes this file, too"
    return [
        warning("CR724", message.format(name), path=path, hint=hint)
        for name, path in confs.paths.items()
        if not read_by(path)
    ]


def unused_beside(folder: Path, confs: Collection[NetConf]) -> list[Diagnostic]:
    """An error for a `profiles/` beside these confs that none of them uses: it says to people what isn't so."""
    here = folder / PROFILES
    if not os.path.lexists(here):
        return []
    used = dict.fromkeys([c.profiles_dir for c in confs] or [PROFILES_DIR])
    if any(same_folder(here, Path(u)) for u in used):
        return []
    try:
        if not entries_of(here):
            return []
    except CompileError as e:
        hint = "take it away, or name a folder with --profiles"
        words = e.diagnostics[0].message
        return [error("CR709", f"the confs beside it use {', '.join(used)}, and {words}", path=str(here), hint=hint)]
    message = f"not read: the confs beside it use {', '.join(used)}"
    hint = f"move its files there, make it a link to {next(iter(used))}, or name a folder with --profiles"
    return [error("CR709", message, path=str(here), hint=hint)]
