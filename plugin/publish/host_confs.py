"""-C and --profiles in; the confs and overrides that decide on this host, and what is to be said of them, out."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.workspace.confs import Confs
from calico_rkt.compiler.workspace.host import host_confs
from calico_rkt.plugin.errors import CniError, Code

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File
    from calico_rkt.compiler.workspace.assemble import Workspace

_OF_CHECK_ALONE = ("CR205", "CR216", "CR227", "CR712")
"""What is said of confs as such, and keeps nobody from applying them."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The networks of this host: known are their confs, files what counts for each. workspace is all that was read.

    files knows those networks, too, whose confs can't be used: a rule may name them.
    """

    known: dict[str, NetConf]
    workspace: Workspace
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)

    def told(self) -> tuple[Diagnostic, ...]:
        """What exists and is not used, or can't be used: none of it is said by compiling a network."""
        said = {d for f in self.workspace.files for d in f.diagnostics}
        found = [d for d in self.workspace.diagnostics if d not in said and d.code not in _OF_CHECK_ALONE]
        return tuple(dict.fromkeys((*found, *(d for u in self.workspace.unusable for d in u.diagnostics))))

    def status(self) -> int:
        """The exit status for it: 2 where something can't be read, 1 where something is not used, else 0."""
        told = self.told()
        return 2 if any(d.is_error for d in told) else 1 if told else 0

    def refusal(self) -> tuple[Diagnostic, ...]:
        """Why nothing may be published: people read other files beside the confs than those that would count."""
        return tuple(d for d in self.workspace.diagnostics if d.code == "CR709")


def decided(folders: Sequence[Path] | None, profiles: Path | None) -> Decided:
    """What decides on this host; CniError where a folder that was named is none."""
    from calico_rkt.compiler.workspace.folder import open_host

    _check(folders)
    if profiles is not None and not profiles.is_dir():
        raise CniError(Code.IO, f"{profiles} is no folder of overrides")
    workspace = open_host(folders or (), os.environ, profiles)
    known = {c.name: c for c in workspace.confs}
    if profiles is not None:
        known = {n: replace(c, profiles_dir=str(profiles), profiles_named=True) for n, c in known.items()}
    there = [n for n in workspace.every_name if n not in workspace.closed]
    return Decided(known, workspace, {n: workspace.files_of(n) for n in there})


def confs_of(folders: Sequence[Path] | None) -> dict[str, NetConf]:
    """The confs alone, for what needs no overrides: one that can't be used is told on stderr, and the others count."""
    _check(folders)
    found = host_confs(folders or (), os.environ)
    for bad in found.unusable:
        why = next((d.message for d in bad.diagnostics if d.is_error), "")
        print(f"calico-rkt: {bad.words} ({why}), so what it names is left alone", file=sys.stderr)
    return found.known


def confs_there() -> Confs:
    """The same of the host's own folders, for who has nobody to tell."""
    return host_confs((), os.environ)


def _check(folders: Sequence[Path] | None) -> None:
    for folder in folders or ():
        if not folder.is_dir():
            raise CniError(Code.IO, f"{folder} is no folder of confs")
