"""A folder of overrides or one file in, bytes out: the only place that reads them from disk."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, raise_errors, warning
from calico_rkt.compiler.source import LARGEST

SUFFIXES = (".yaml", ".yml")
_NEARLY = (".yaml.", ".yml.", ".json")


def read_profiles(folder: Path) -> dict[str, bytes]:
    """The YAML files of a folder by path, sorted; not those of its subfolders. A missing folder has none.

    A file that can't be read is an error (CompileError): it could be anybody's override.
    """
    problems: list[Diagnostic] = []
    found = read_all(entries_of(folder, missing_ok=True), SUFFIXES, problems)
    raise_errors(problems)
    return found


def entries_of(folder: Path, *, missing_ok: bool = False) -> list[Path]:
    """What stands in a folder, sorted; CompileError (CR701) where nobody can tell."""
    try:
        return sorted(folder.iterdir())
    except OSError as e:
        if missing_ok and isinstance(e, FileNotFoundError):
            return []
        raise CompileError([error("CR701", f"the folder can't be read: {e.strerror}", path=str(folder))]) from e


def read_all(paths: Iterable[Path], suffixes: tuple[str, ...], problems: list[Diagnostic]) -> dict[str, bytes]:
    """The files with one of these suffixes by path, hidden ones left out; problems takes why one can't be read."""
    out: dict[str, bytes] = {}
    for path in paths:
        if path.suffix in suffixes and not path.name.startswith("."):
            try:
                out[str(path)] = read_file(path)
            except CompileError as e:
                problems += e.diagnostics
    return out


def read_file(path: Path) -> bytes:
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
            return stream.read(LARGEST + 1)
    except OSError as e:
        raise CompileError([error("CR708", f"can't be read: {e.strerror}", path=str(path))]) from e
    except ValueError as e:  # a NUL byte in the path
        raise CompileError([error("CR708", f"can't be read: {e}", path=str(path))]) from e


def unread(folder: Path) -> tuple[Diagnostic, ...]:
    """As unread_names, of the names in a folder."""
    try:
        return unread_names(sorted(map(str, folder.iterdir())))
    except OSError:
        return ()


def unread_names(paths: Iterable[str]) -> tuple[Diagnostic, ...]:
    """A warning for each file that looks like an override and is none by its name, such as web.yaml.txt."""
    names = [(path, path.rpartition("/")[2]) for path in paths]
    return tuple(
        warning("CR707", "not read: the name does not end in .yaml or .yml", path=path)
        for path, name in names
        if not name.endswith(SUFFIXES) and not name.startswith(".") and any(n in name for n in _NEARLY)
    )
