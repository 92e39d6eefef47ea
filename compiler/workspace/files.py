"""A folder or one file in, names and bytes out: the only place that reads confs and overrides."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, raise_errors
from calico_rkt.compiler.text.nodes import LARGEST
from calico_rkt.compiler.workspace.place import Place

SUFFIXES = (".yaml", ".yml")
DEEPEST = 16
"""Levels of subfolders that are looked into for what is not read."""
PROFILES = "profiles"
"""The folder of the overrides, beside the confs."""
BASELINE = "baseline.yaml"
"""The file of accepted findings, beside the confs."""
_AN_OVERRIDE = rb"(?:\s|#[^\n]*\n|---[^\n]*\n)*network[ \t]*:[ \t]*['\"]?[a-zA-Z0-9]"
"""How a file begins that is about one network; netplan's and others' have a mapping there."""
_LFS = b"version https://git-lfs.github.com/spec/"


def read_profiles(folder: Place, *, may_be_absent: bool = True) -> dict[str, bytes]:
    """The YAML files of a folder by path, sorted; not those of its subfolders.

    A file that can't be read is an error (CompileError): it could be anybody's override. So is a folder that can't
    be read (CR701), a link that leads nowhere, and, unless it may be absent, one that is not there.
    """
    problems: list[Diagnostic] = []
    found = read_all(entries_of(folder, missing_ok=may_be_absent), SUFFIXES, problems)
    raise_errors(problems)
    return found


def entries_of(folder: Place, *, missing_ok: bool = False) -> list[Place]:
    """What stands in a folder, sorted; CompileError (CR701) where nobody can tell, CR742 where git left it empty."""
    try:
        found = sorted(folder.iterdir(), key=lambda place: place.name)
        cure = _left_empty(folder.resolve()) if not found and isinstance(folder, Path) else ""
    except FileNotFoundError as e:
        nowhere = _leads_nowhere(folder)
        if missing_ok and not nowhere:
            return []
        words = f"{nowhere} is a link that leads nowhere: is a mount missing?" if nowhere else e.strerror
        raise CompileError([error("CR701", f"the folder can't be read: {words}", path=str(folder))]) from e
    except OSError as e:
        raise CompileError([error("CR701", f"the folder can't be read: {e.strerror}", path=str(folder))]) from e
    except ValueError as e:  # a NUL byte in the path
        raise CompileError([error("CR701", f"the folder can't be read: {e}", path=str(folder))]) from e
    if cure:
        message = "the folder is a git submodule that is not initialised, so nothing is in it"
        raise CompileError([error("CR742", message, path=str(folder), hint=cure)])
    return found


def _left_empty(folder: Path) -> str:
    """The command that fills an empty folder where a repository around it has a submodule; empty where none has.

    git itself has no empty folders.
    """
    for top in folder.parents:
        modules = top / ".gitmodules"
        if modules.is_file():
            named = re.findall(r"(?m)^\s*path\s*=\s*\"?(.*?)\"?\s*$", modules.read_text("utf-8", "replace"))
            inside = folder.relative_to(top).as_posix()
            return update_submodule(top, inside) if inside in named else ""
    return ""


def update_submodule(top: Path, inside: str) -> str:
    """The command that initialises the submodule at a path of the repository whose top that is, from here."""
    where = os.path.relpath(top)
    return f"git {'' if where == '.' else f'-C {where} '}submodule update --init {inside}"


def _leads_nowhere(folder: Place) -> str:
    """The link on the way to a folder that leads nowhere; empty where it is simply not there."""
    for part in (folder, *folder.parents):
        if is_there(part):
            break
        if part.is_symlink():
            return str(part)
    return ""


def is_there(path: Place) -> bool:
    """Whether the path leads to something; what this user may not look at is there."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True


def read_all(paths: Iterable[Place], suffixes: tuple[str, ...], problems: list[Diagnostic]) -> dict[str, bytes]:
    """The files with one of these suffixes by path, hidden ones left out; problems takes why one can't be read."""
    return read_these((p for p in paths if p.suffix in suffixes and not p.name.startswith(".")), problems)


def read_these(paths: Iterable[Place], problems: list[Diagnostic]) -> dict[str, bytes]:
    """The files by path; problems takes why one can't be read."""
    out: dict[str, bytes] = {}
    for path in paths:
        try:
            out[str(path)] = read_file(path)
        except CompileError as e:
            problems += e.diagnostics
    return out


def read_file(path: Place) -> bytes:
    """A regular file's bytes; CompileError where there is none, where it can't be read, or where it is too large.

    A pipe or a device is no file here: reading it could wait for ever.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise CompileError([error("CR708", "this is a folder, not a file", path=str(path))])
        if not stat.S_ISREG(mode):
            raise CompileError([error("CR708", "this is no regular file", path=str(path))])
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as e:
        raise CompileError([error("CR708", f"can't be read: {e.strerror}", path=str(path))]) from e
    except ValueError as e:  # a NUL byte in the path
        raise CompileError([error("CR708", f"can't be read: {e}", path=str(path))]) from e
    if data.startswith(_LFS):
        message = "only a pointer of git LFS is here, not the file"
        hint = "git lfs pull; a revision has pointers only, so keep these files in git itself"
        raise CompileError([error("CR708", message, path=str(path), hint=hint)])
    return data


def strays_in(folder: Place) -> dict[str, bytes]:
    """The YAML files of a folder of confs, but BASELINE, and of folders in it that are nearly called PROFILES, by path.

    Of folders in it with other names those files that begin as an override does; a folder with confs of its own is
    another workspace. None where nobody can tell.
    """
    out: dict[str, bytes] = {}
    for place in _inside(folder):
        if not place.is_dir():
            out |= read_these([place] if _is_yaml(place) and place.name != BASELINE else [], [])
        elif place.name != PROFILES:
            inside = _inside(place)
            found = read_these([p for p in inside if _is_yaml(p)], [])
            if not _close(place.name):
                own = any(p.suffix in (".conf", ".conflist") for p in inside)
                found = {} if own else {path: data for path, data in found.items() if re.match(_AN_OVERRIDE, data)}
            out |= found
    return out


def _close(name: str) -> bool:
    from difflib import get_close_matches  # seldom needed, and the plugin reads this module, too

    return bool(get_close_matches(name.lower(), [PROFILES], cutoff=0.85))


def unnamed_in(entries: Iterable[Place]) -> dict[str, bytes]:
    """The files of a folder of overrides whose names say nothing of YAML, by path; hidden ones are left out."""
    return read_these((p for p in entries if not p.name.startswith((".", "#")) and p.is_file() and not _is_yaml(p)), [])


def nested(folder: Place, depth: int = DEEPEST) -> dict[str, bytes]:
    """The YAML files in the subfolders of a folder by path, hidden ones left out; what can't be read, too.

    A link to a folder is followed, but no further than into that one: it may lead anywhere.
    """
    out: dict[str, bytes] = {}
    for place in _inside(folder) if depth else ():
        if place.is_dir():
            out |= read_these([p for p in _inside(place) if _is_yaml(p)], [])
            out |= {} if place.is_symlink() else nested(place, depth - 1)
    return out


def _is_yaml(place: Place) -> bool:
    return place.name.lower().endswith(SUFFIXES) and not place.is_dir()


def _inside(folder: Place) -> list[Place]:
    """What stands in a folder, hidden ones left out; nothing where nobody can tell."""
    with suppress(OSError):
        return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda place: place.name)
    return []


def same_folder(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder that is there."""
    try:
        return one.is_dir() and one.samefile(other)
    except OSError:
        return False
