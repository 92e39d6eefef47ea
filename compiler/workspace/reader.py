"""The bytes of a workspace's files in, its confs and overrides out, with all that is wrong with them as such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from pathlib import Path

from calico_rkt.compiler.conf import CONF_SUFFIXES, NetConf, parse_conf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, warning
from calico_rkt.compiler.ids import object_id
from calico_rkt.compiler.overrides import File
from calico_rkt.compiler.workspace.files import SUFFIXES, entries_of, read_all, unread_names
from calico_rkt.compiler.workspace.policy import parse_files, unused
from calico_rkt.compiler.workspace.taken import taken

PROFILES = "profiles"
"""The folder of the overrides, beside the confs."""
BASELINE = "baseline.yaml"
"""The file of accepted findings, beside the confs."""
_NO_MATTER = ("cni_version", "log_level")
"""Fields of a conf in which two confs of one network may differ."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Files by path as people call them: those of the folder itself that are confs, and those of its profiles/.

    problems say which files could not be read, others are all names in profiles/; baseline is the file BASELINE.
    """

    confs: Mapping[str, bytes]
    profiles: Mapping[str, bytes]
    problems: tuple[Diagnostic, ...] = ()
    others: tuple[str, ...] = ()
    baseline: bytes | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """where is what a person calls it; confs are those of type calico, one for each network, by file name.

    conf_paths are the confs' by network, data the bytes of the files of profiles/ by path, files what these say.
    diagnostics are about files and confs as such, those of files included; what a network compiles to has others.
    """

    where: str
    confs: tuple[NetConf, ...]
    conf_paths: Mapping[str, str]
    data: Mapping[str, bytes]
    files: tuple[File, ...]
    baseline: bytes | None = None
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the networks."""
        return tuple(c.name for c in self.confs)


def open_folder(folder: Path, environ: Mapping[str, str]) -> Workspace:
    """The workspace in a folder. environ as in parse_conf.

    Raises CompileError where the folder can't be read (CR701), or where it holds no conf at all (CR806).
    """
    return assemble(str(folder), _list(folder), environ)


def assemble(where: str, listing: Listing, environ: Mapping[str, str]) -> Workspace:
    """The workspace of a listing; CompileError (CR806) where it holds no conf of type calico, and no broken one."""
    found: list[Diagnostic] = list(listing.problems)
    confs: dict[str, NetConf] = {}
    paths: dict[str, str] = {}
    for path, data in listing.confs.items():
        try:
            conf, warnings = parse_conf(data, path, preview=True, environ=environ)
        except CompileError as e:
            found += e.diagnostics
            continue
        if conf.type != "calico":
            continue
        found += warnings
        first = confs.setdefault(conf.name, conf)
        if first is not conf:
            found += _differing(first, paths[conf.name], conf, path)
        paths.setdefault(conf.name, path)
    if not confs and not any(d.is_error for d in found):
        hint = "a workspace is a folder of *.conf and *.conflist files with profiles/*.yaml beside them"
        raise CompileError([error("CR806", "no conf of type calico is here", path=where, hint=hint)])
    files = parse_files(listing.profiles)
    found += [
        *unread_names(listing.others),
        *unused(files, tuple(confs)),
        *taken(paths),
        *_same_id(paths),
        *_overlaps(confs, paths),
    ]
    found += [d for f in files for d in f.diagnostics]
    unique = tuple(dict.fromkeys(found))
    return Workspace(where, tuple(confs.values()), paths, listing.profiles, files, listing.baseline, unique)


def _list(folder: Path) -> Listing:
    problems: list[Diagnostic] = []
    here = entries_of(folder)
    confs = read_all(here, CONF_SUFFIXES, problems)
    inside = folder / PROFILES
    entries = entries_of(inside) if inside.exists() else []
    profiles = read_all(entries, SUFFIXES, problems)
    accepted = read_all((p for p in here if p.name == BASELINE), (".yaml",), problems)
    return Listing(confs, profiles, tuple(problems), tuple(map(str, entries)), next(iter(accepted.values()), None))


def _differing(first: NetConf, first_path: str, second: NetConf, path: str) -> Iterator[Diagnostic]:
    keys = [f.name for f in fields(NetConf) if getattr(first, f.name) != getattr(second, f.name)]
    keys = [k for k in keys if k not in _NO_MATTER]
    if keys:
        message = f"the network {first.name!r} has another conf in {first_path}, which differs in {', '.join(keys)}"
        yield warning("CR710", message, path=path, hint="keep one; the first by file name is looked at here")


def _same_id(paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Two networks of one id, or one that is called as the other's id: who names it would mean either."""
    first: dict[str, str] = {}
    for name, path in paths.items():
        other = first.setdefault(object_id(name), name)
        if other != name:
            message = f"the networks {other!r} and {name!r} have one id, {object_id(name)!r}"
            yield error("CR711", message, path=path, hint="give one of them another name")
    for name, path in paths.items():
        if name in first and object_id(name) != name:
            message = f"the name of the network {name!r} is the id of the network {first[name]!r}"
            yield error("CR711", message, path=path, hint="give one of them another name")


def _overlaps(confs: Mapping[str, NetConf], paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Networks of one datastore may share addresses: each is handed out once all the same, so it is no error."""
    ranges = {n: [r.subnet for one in c.ipam.ranges for r in one] for n, c in confs.items()}
    for a, b in combinations(confs, 2):
        if confs[a].datastore_type != confs[b].datastore_type:
            continue
        shared = [(x, y) for x in ranges[a] for y in ranges[b] if x.version == y.version and x.overlaps(y)]
        if shared:
            x, y = shared[0]
            message = f"the subnet {y} of {b!r} overlaps {x} of {a!r} ({paths[a]})"
            hint = "rules on addresses can't tell the two networks apart; give each its own subnet"
            yield warning("CR712", message, path=paths[b], hint=hint)
