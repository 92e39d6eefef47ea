"""A folder in, the workspace in it out: the host's where it is one of the host's, else one that stands for itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from calico_rkt.compiler.conf.netconf import PROFILES_DIR
from calico_rkt.compiler.conf.shape import names_us, shape_of
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.workspace.assemble import Listing, Workspace, assemble, joined_workspace, none_here
from calico_rkt.compiler.workspace.confs import Confs, Unusable, conf_files, nearly_confs
from calico_rkt.compiler.workspace.files import (
    BASELINE,
    PROFILES,
    SUFFIXES,
    entries_of,
    is_there,
    nested,
    read_all,
    same_folder,
    strays_in,
    unnamed_in,
)
from calico_rkt.compiler.workspace.host import (
    HOST_FOLDERS,
    KEPT,
    LIVE,
    host_confs,
    host_folders,
    is_host_folder,
    kept_alone,
    unused_beside,
)
from calico_rkt.compiler.workspace.overrides import Overrides, overrides_in, read_inside
from calico_rkt.compiler.workspace.place import Place
from calico_rkt.compiler.workspace.plugin_folders import plugin_folders
from calico_rkt.compiler.workspace.sources import Sources
from calico_rkt.compiler.workspace.unread import unread_beside


def open_folder(folder: Path, environ: Mapping[str, str], profiles: Path | None = None) -> Workspace:
    """The workspace in a folder, with the overrides of profiles, where somebody named that folder.

    environ counts only for a folder that is this host's. Raises CompileError where a folder can't be read (CR701), or
    where it holds no conf at all (CR806).
    """
    if is_host_folder(folder):
        return _some(open_host((folder,), environ, profiles), str(folder))
    return assemble(str(folder), listing(folder, profiles), more=partial(read_inside, folder))


def open_here(environ: Mapping[str, str], profiles: Path | None = None) -> Workspace:
    """The workspace where nobody names one: the current folder where it has confs of ours, else this host."""
    here = Path()
    if _has_ours(here):
        return open_folder(here, environ, profiles)
    return _some(open_host((), environ, profiles), ".", f", nor in {' or '.join(map(str, HOST_FOLDERS))}")


def _has_ours(folder: Path) -> bool:
    """Whether a folder has a conf of ours, or what may be one beside a `profiles/`: many programs have a *.conf."""
    unusable: list[Unusable] = []
    try:
        files = conf_files(folder, unusable)
    except CompileError:  # a folder that can't be read has nothing for anybody
        return False
    ours = [names_us(data) for path, data in files.items() if shape_of(path, data).ours]
    return any(ours) or (bool(ours or unusable) and os.path.lexists(folder / PROFILES))


def _some(workspace: Workspace, where: str, also: str = "") -> Workspace:
    if not workspace.confs and not workspace.unusable:
        raise none_here(where, also)
    return workspace


def listing(folder: Place, chosen: Place | None) -> Listing:
    """What a workspace is made of: the folder's files, and those of the chosen folder or of its own profiles/."""
    problems: list[Diagnostic] = []
    unusable: list[Unusable] = []
    here = entries_of(folder)
    confs = conf_files(folder, unusable)
    at = chosen or folder / PROFILES
    entries = entries_of(at, missing_ok=chosen is None)
    problems += (*nearly_confs(folder), *plugin_folders(folder, confs))
    accepted = read_all((p for p in here if p.name == BASELINE), (".yaml",), problems)
    return Listing(
        confs,
        read_all(entries, SUFFIXES, problems),
        tuple(problems),
        tuple(map(str, entries)),
        next(iter(accepted.values()), None),
        tuple(unusable),
        unnamed_in(entries),
        nested(at),
        strays_in(folder),
        str(at) if chosen or is_there(at) else "",
        chosen=chosen is not None,
    )


def open_host(folders: Sequence[Path], environ: Mapping[str, str], profiles: Path | None = None) -> Workspace:
    """The workspace of this host, or of these folders of it, each network with the overrides that its conf names.

    profiles: a folder that somebody named in place of all of them.
    """
    shown = host_folders(folders)
    confs = host_confs(shown, environ) if shown else Confs()
    if profiles is not None:
        entries_of(profiles)
    asked = {c.name: str(profiles or c.profiles_dir) for c in confs.confs}
    named = {os.path.realpath(asked[c.name]) for c in confs.confs if profiles is not None or c.profiles_named}
    every: dict[str, Overrides] = {}
    for folder in asked.values() or (str(profiles or PROFILES_DIR),):
        key = os.path.realpath(folder)
        if key not in every:
            every[key] = overrides_in(Path(folder), may_be_absent=key not in named and profiles is None)
    using = {name: every[os.path.realpath(folder)] for name, folder in asked.items()}
    sets = list(every.values())
    told = (
        []
        if profiles is not None
        else [
            d
            for f in shown
            for d in unused_beside(f, [c for c in confs.confs if Path(confs.paths[c.name]).parent == f])
        ]
    )
    sources = Sources(
        "host",
        tuple(map(str, shown or folders or HOST_FOLDERS)),
        tuple(o.folder for o in sets if not o.absent),
        tuple(o.folder for o in sets if o.absent),
    )
    where = str(shown[0]) if len(shown) == 1 else "this host"
    baseline, home = _baseline(shown)
    found = [*told, *_strays(shown, sets), *(kept_alone(confs) if not folders or {KEPT, LIVE[1]} <= {*shown} else ())]
    return replace(joined_workspace(where, confs, sets, using, sources, found, baseline=baseline), home=home)


def _strays(folders: Sequence[Path], sets: Sequence[Overrides]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for folder in folders:
        found += nearly_confs(folder)
        if not any(same_folder(folder, Path(o.folder)) for o in sets):
            found += unread_beside(strays_in(folder), [data for o in sets for data in o.data.values()])
    return found


def _baseline(folders: Sequence[Path]) -> tuple[bytes | None, str]:
    """The accepted findings of the first folder that has any, and where they are, or would be."""
    for folder in folders:
        for data in read_all([folder / BASELINE], SUFFIXES, []).values():
            return data, str(folder)
    return None, str(folders[0]) if folders else ""
