"""A host in; what was installed there, with checksums, and what somebody changed since, out: installed.json."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install.parts import at
from calico_rkt.plugin.install.payload import checksum

MANIFEST = "/var/lib/calico-rkt/installed.json"


@dataclass(frozen=True)
class Entry:
    """A path, and what was put there: a file's SHA-256, or a link's target. A folder has neither."""

    path: str
    sha256: str = ""
    link: str = ""


@dataclass(frozen=True)
class Manifest:
    """What was installed. While an install is under way a path may have two entries: what was, and what is to be."""

    version: str = ""
    entries: tuple[Entry, ...] = ()
    folders: tuple[str, ...] = ()
    """Folders that were made for it, the outermost first."""

    def has(self, path: str) -> bool:
        """Whether something was put there."""
        return any(e.path == path for e in self.entries)

    def put(self, found: Entry) -> bool:
        """Whether what is found is what was put there."""
        return found in self.entries


def found(root: str, path: str) -> Entry | None:
    """What is at a path now; None where nothing is. A folder, or what can't be read as a file, has no checksum."""
    place = at(root, path)
    try:
        mode = place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return Entry(path, link=str(place.readlink()))
    return Entry(path, sha256=checksum(place.read_bytes())) if stat.S_ISREG(mode) else Entry(path)


def read(root: str) -> Manifest:
    """The host's manifest; an empty one where nothing was installed. CniError where it can't be read."""
    place = at(root, MANIFEST)
    try:
        kept = json.loads(place.read_bytes())
        return Manifest(
            str(kept["version"]),
            tuple(Entry(str(e["path"]), str(e["sha256"]), str(e["link"])) for e in kept["entries"]),
            tuple(map(str, kept["folders"])),
        )
    except FileNotFoundError:
        return Manifest()
    except OSError as e:
        raise CniError(Code.IO, f"can not read {place}: {e.strerror}") from e
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise CniError(
            Code.IO,
            f"{place} is not what an install wrote: {e}",
            "it says what is to be taken back; away with it, if nothing is, and --replace at the next install",
        ) from e


def write(root: str, manifest: Manifest) -> None:
    """Keep it, on the disk; one without entries goes away."""
    place = at(root, MANIFEST)
    atomic.sweep(place)
    if not manifest.entries:
        place.unlink(missing_ok=True)
        return
    atomic.make_folder(place.parent, 0o755)
    atomic.replace(place, (json.dumps(asdict(manifest), indent=1) + "\n").encode(), 0o644)


def changed(root: str = "") -> list[tuple[str, str]]:
    """Each installed path that is no more what was put there, with words; empty where all is as it was.

    An installer of stock Calico may write through our link: then the plugin itself is the one that is named.
    """
    manifest = read(root)
    return [(path, words) for path in paths(manifest.entries) if (words := how_changed(root, manifest, path))]


def how_changed(root: str, manifest: Manifest, path: str) -> str:
    """What is otherwise at this path than the manifest says, in words; empty where nothing is."""
    now = found(root, path)
    if now is None:
        return "is gone"
    if manifest.put(now):
        return ""
    if now.link:
        return f"is a link to {now.link} now"
    was_link = any(e.link for e in manifest.entries if e.path == path)
    return "is a file now, no link" if was_link else "was changed since it was installed"


def paths(entries: Sequence[Entry]) -> list[str]:
    """The paths of entries, each once, in their order."""
    return list(dict.fromkeys(e.path for e in entries))


def nearest(place: Path) -> Path:
    """The folder that is there, of those that a path is in."""
    folder = place.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
