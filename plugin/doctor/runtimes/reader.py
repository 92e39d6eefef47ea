"""What a runtime reads, as values; a configuration file in, its keys with their lines out."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calico_rkt.compiler.conf.shape import CONF_SUFFIXES
from calico_rkt.plugin.doctor.finding import Place

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_PATIENCE = 10.0
CNI = "/etc/cni/net.d"
ANY_VERSION = "9"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a runtime looks into; said is where its configuration names it, None for its default."""

    path: str
    said: Place | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that calls CNI plugins.

    used: it is used here, as far as files say. newest: the newest cniVersion that it can read the answer of.
    one_conf: it takes the first file of a folder for everything. needs: plugins that it runs beside those of a conf.
    """

    name: str
    confs: tuple[Folder, ...]
    plugins: tuple[Folder, ...]
    suffixes: tuple[str, ...] = CONF_SUFFIXES
    newest: str = ANY_VERSION
    used: bool = True
    one_conf: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wrong:
    """A configuration that keeps a runtime from our networks: an error code of this room, and its words."""

    code: str
    message: str
    follows: str
    cure: str
    place: Place | None = None
    advice: bool = False


@dataclass(frozen=True, slots=True)
class Toml:
    """A file of TOML; values is empty where there is none. wrong says why it can't be read."""

    path: str
    text: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    wrong: Wrong | None = None

    def get(self, *keys: str) -> Any:  # noqa: ANN401 - what somebody wrote
        """The value below these keys, None where there is none."""
        found: Any = self.values
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def text_at(self, *keys: str) -> str:
        """The same where it is a string, else nothing."""
        found = self.get(*keys)
        return found if isinstance(found, str) else ""

    def texts_at(self, *keys: str) -> tuple[str, ...]:
        """The same where it is a list: its strings."""
        found = self.get(*keys)
        return tuple(f for f in found if isinstance(f, str)) if isinstance(found, list) else ()

    def place(self, key: str, value: str = "") -> Place:
        """The line that sets a key, to this value where several do."""
        return Place(self.path, line_of(self.text, rf"{re.escape(key)}\s*=.*{re.escape(value)}"))


def read_toml(path: str, runtime: str) -> Toml:
    """The file; one that is not there is empty."""
    try:
        text = Path(path).read_text("utf-8")
        return Toml(path, text, tomllib.loads(text))
    except (FileNotFoundError, NotADirectoryError):
        return Toml(path)
    except (OSError, ValueError, RecursionError) as e:
        why = e.strerror if isinstance(e, OSError) else str(e)
        line = re.search(r"line (\d+)", str(e))
        place = Place(path, int(line[1]) if line else 0)
        follows = f"{runtime} does not start, or goes on without what it says"
        return Toml(path, wrong=Wrong("CR912", f"can not be read: {why}", follows, f"${{EDITOR:-vi}} {path}", place))


def line_of(text: str, pattern: str) -> int:
    """The number of the first line that begins so, 0 where none does."""
    return next((n for n, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*(?:{pattern})", line)), 0)


def installed(program: str) -> bool:
    """Whether root finds the program."""
    return shutil.which(program) is not None


def version_of(program: str) -> tuple[int, ...]:
    """What `PROGRAM --version` says; () where it says nothing of the kind."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = _NUMBERS.search(done.stdout)
    return tuple(int(n) for n in found.groups() if n) if found else ()


def folders(paths: tuple[str, ...], said: Place | None = None) -> tuple[Folder, ...]:
    return tuple(Folder(p, said) for p in paths)
