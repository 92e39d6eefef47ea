"""One conf and its file in; what its network's policy is read from, and who else has a conf beside it, out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.values import dataclass
from calico_rkt.compiler.workspace.confs import Confs, Unusable, conf_files, read_confs
from calico_rkt.compiler.workspace.files import PROFILES, entries_of, read_file
from calico_rkt.compiler.workspace.host import is_host_folder, unused_beside
from calico_rkt.compiler.workspace.overrides import Overrides, not_used, overrides_in, read_inside
from calico_rkt.compiler.workspace.standing import stands_for


@dataclass(frozen=True, slots=True)
class Single:
    """The overrides that count for a conf; names are those of all networks beside it, found what is to be said."""

    overrides: Overrides
    names: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()


def conf_at(path: Path, environ: Mapping[str, str]) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    """The conf in a file and its warnings; environ counts where it stands in one of this host's folders."""
    known = environ if is_host_folder(path.parent) else None
    return parse_conf(read_file(path), str(path), preview=True, environ=known)


def conf_of(data: bytes, environ: Mapping[str, str]) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    """The same of a conf that came by stdin."""
    return parse_conf(data, preview=True, environ=environ)


def policy_beside(path: Path | None, conf: NetConf, environ: Mapping[str, str], profiles: Path | None) -> Single:
    """Path None: the conf came by stdin, as to the plugin, which reads the folder that the conf names.

    profiles: a folder that somebody named. CompileError where a folder can't be read.
    """
    folder = path.parent if path else None
    host = folder is not None and is_host_folder(folder)
    beside, unusable = _beside(folder, environ)
    names = tuple(dict.fromkeys((*(c.name for c in beside), *(u.name for u in unusable if u.name))))
    told: list[Diagnostic] = []
    if profiles is not None:
        entries_of(profiles)
        overrides = overrides_in(profiles, may_be_absent=False)
    elif folder is None or host:
        overrides = overrides_in(Path(conf.profiles_dir), may_be_absent=not conf.profiles_named)
        told = unused_beside(folder, [conf, *beside]) if folder else []
    else:
        overrides = overrides_in(folder / PROFILES, may_be_absent=True)
        instead, told = stands_for(Confs((conf,), {conf.name: str(path)}), overrides, partial(read_inside, folder))
        overrides = next(iter(instead.values()), overrides)
    if names and folder is not None and not host and Path(overrides.folder).parent.resolve() == folder.resolve():
        told += not_used(overrides, names, unusable, here="no conf here")
    return Single(overrides, names, (*overrides.problems, *told))


def _beside(folder: Path | None, environ: Mapping[str, str]) -> tuple[tuple[NetConf, ...], tuple[Unusable, ...]]:
    """The confs of this folder, and those that can't be used; none for stdin, where nobody can tell."""
    unusable: list[Unusable] = []
    if folder is not None:
        with suppress(CompileError):
            found = read_confs(conf_files(folder, unusable), environ, tuple(unusable))
            return found.confs, found.unusable
    return (), ()
