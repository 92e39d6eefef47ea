"""The bytes of a workspace's files in, its confs and overrides out, with all that is wrong with them as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import normpath

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.workspace.clashes import overlaps, same_id
from calico_rkt.compiler.workspace.confs import Confs, Unusable, read_confs
from calico_rkt.compiler.workspace.files import PROFILES
from calico_rkt.compiler.workspace.overrides import Overrides, not_used
from calico_rkt.compiler.workspace.policy import parse_files
from calico_rkt.compiler.workspace.sources import Sources
from calico_rkt.compiler.workspace.standing import Reader, stands_for
from calico_rkt.compiler.workspace.taken import taken
from calico_rkt.compiler.workspace.unread import misnamed, too_deep, unnamed, unread_beside


@dataclass(frozen=True, slots=True)
class Listing:
    """Files by path as people call them: those of the folder itself that are confs, and those of its profiles/.

    problems say which files could not be read, unusable the same of confs; others are all names in profiles/, unnamed
    its files whose names say nothing of YAML, nested the YAML files in its subfolders, stray those beside the confs;
    baseline is the file BASELINE. at is the folder of the overrides as people call it, empty where there is none;
    chosen: somebody named it (--profiles).
    """

    confs: Mapping[str, bytes]
    profiles: Mapping[str, bytes]
    problems: tuple[Diagnostic, ...] = ()
    others: tuple[str, ...] = ()
    baseline: bytes | None = None
    unusable: tuple[Unusable, ...] = ()
    unnamed: Mapping[str, bytes] = field(default_factory=dict)
    nested: Mapping[str, bytes] = field(default_factory=dict)
    stray: Mapping[str, bytes] = field(default_factory=dict)
    at: str = PROFILES
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Workspace:
    """where is what a person calls it; confs are those of type calico, one for each network, by file name.

    conf_paths are the confs' by network, data the bytes of all files of overrides by path, files what these say; own
    are those that count for a network, where these are not all. unusable are confs that can't be used, closed are the
    networks whose overrides could not all be read: nothing may be compiled for them. home is the folder that accepted
    findings are kept in, and that their paths are told from.
    diagnostics are about files and confs as such, those of files included; what a network compiles to has others.
    refused are errors of rules that no host publishes: known once they are compiled (built() in compiler/review).
    """

    where: str
    confs: tuple[NetConf, ...]
    conf_paths: Mapping[str, str]
    data: Mapping[str, bytes]
    files: tuple[File, ...]
    baseline: bytes | None = None
    sources: Sources = field(default=Sources("folder"), compare=False)
    unusable: tuple[Unusable, ...] = ()
    own: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    home: str = ""
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)
    refused: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the networks."""
        return tuple(c.name for c in self.confs)

    @property
    def every_name(self) -> tuple[str, ...]:
        """The same with those of confs that can't be used, as far as they are known."""
        return tuple(dict.fromkeys((*self.names, *(u.name for u in self.unusable if u.name))))

    def files_of(self, network: str) -> tuple[File, ...]:
        """The files that say what counts for a network."""
        return self.own.get(network, self.files)


def assemble(where: str, listing: Listing, kind: str = "folder", more: Reader | None = None) -> Workspace:
    """The workspace of a folder or (kind "revision") of a revision of it; more reads other folders of the same place.

    CompileError (CR806) where it holds no conf of type calico, and none that can't be used.
    """
    confs = read_confs(listing.confs, None, listing.unusable)
    if not confs.confs and not confs.unusable and not any(d.is_error for d in listing.problems):
        raise none_here(where)
    usual = Overrides(
        listing.at,
        listing.profiles,
        parse_files(listing.profiles),
        problems=(*listing.problems, *misnamed(listing.others), *unnamed(listing.unnamed)),
    )
    instead, told = ({}, []) if listing.chosen else stands_for(confs, usual, more)
    every = [usual, *instead.values()]
    read = [data for o in every for data in o.data.values()]
    told += [*too_deep(listing.nested, read), *unread_beside(listing.stray, read)]
    using = {c.name: instead.get(normpath(c.profiles_dir), usual) for c in confs.confs}
    folders = tuple(o.folder for o in every if o.folder)
    return joined_workspace(
        where, confs, every, using, Sources(kind, (where,), folders), told, baseline=listing.baseline
    )


def none_here(where: str, also: str = "") -> CompileError:
    """There is no conf of type calico; also says where else there is none."""
    hint = "a workspace is a folder of *.conf, *.conflist and *.json files with profiles/*.yaml beside them"
    return CompileError([error("CR806", f"no conf of type calico is here{also}", path=where, hint=hint)])


def joined_workspace(
    where: str,
    confs: Confs,
    every: list[Overrides],
    using: Mapping[str, Overrides],
    sources: Sources,
    told: list[Diagnostic],
    *,
    baseline: bytes | None = None,
) -> Workspace:
    """The workspace of confs and all the overrides that they are using, by network, with what is to be said of both."""
    found: list[Diagnostic] = [*confs.diagnostics, *told]
    here = "no conf here" if len(every) == 1 else "no conf that uses this folder"
    for overrides in every:
        users = [name for name, used in using.items() if used is overrides]
        found += [*overrides.problems, *not_used(overrides, users, confs.unusable, here=here)]
        found += [d for f in overrides.files for d in f.diagnostics]
    found += [*taken(confs.paths), *same_id(confs.paths), *overlaps(confs.known, confs.paths)]
    return Workspace(
        where,
        confs.confs,
        confs.paths,
        {path: data for o in every for path, data in o.data.items()},
        tuple(f for o in every for f in o.files),
        baseline,
        sources,
        confs.unusable,
        {name: o.files for name, o in using.items()} if len(every) > 1 else {},
        frozenset(name for name, o in using.items() if any(d.is_error for d in o.problems)),
        where,
        tuple(dict.fromkeys(found)),
    )
