"""The folders of overrides that confs use in, what each network's policy is read from, and what nobody uses, out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.values import dataclass
from calico_rkt.compiler.workspace.confs import Unusable
from calico_rkt.compiler.workspace.files import SUFFIXES, entries_of, is_there, nested, read_all, unnamed_in
from calico_rkt.compiler.workspace.place import Place
from calico_rkt.compiler.workspace.policy import parse_files, unused
from calico_rkt.compiler.workspace.unread import misnamed, too_deep, unnamed

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File


@dataclass(frozen=True, slots=True)
class Overrides:
    """One folder of overrides: data are its files' bytes by path, files what these say.

    absent: the folder is not there, and need not be. problems say why something in it can't be read, and what there
    is not read.
    """

    folder: str
    data: Mapping[str, bytes]
    files: tuple[File, ...]
    absent: bool = False
    problems: tuple[Diagnostic, ...] = ()


def overrides_in(folder: Place, *, may_be_absent: bool) -> Overrides:
    """The folder's overrides; whatever is wrong stands in its problems."""
    problems: list[Diagnostic] = []
    try:
        entries = entries_of(folder, missing_ok=may_be_absent)
    except CompileError as e:
        return Overrides(str(folder), {}, (), problems=e.diagnostics)
    data = read_all(entries, SUFFIXES, problems)
    problems += [*misnamed(map(str, entries)), *unnamed(unnamed_in(entries)), *too_deep(nested(folder), data.values())]
    return Overrides(str(folder), data, parse_files(data), not entries and not is_there(folder), tuple(problems))


def read_inside(folder: Place, inside: str) -> Overrides:
    """The overrides in a folder that is named from the workspace's own."""
    return overrides_in(folder / inside, may_be_absent=False)


def not_used(
    overrides: Overrides, users: Collection[str], unusable: Collection[Unusable], *, here: str
) -> Iterator[Diagnostic]:
    """The overrides of networks that no conf has; none where a conf that can't be used may be that network's."""
    if all(u.name for u in unusable):
        yield from unused(overrides.files, (*users, *(u.name for u in unusable)), here)
