"""Releases that the cluster could not be told of, as files that outlive a reboot; who gets through finishes them.

Each is a file of its own and an affair of its own: one that can't be read or can't be finished is named, waits longer
from attempt to attempt, and holds no other up.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key

_PAUSE = 60.0
"""Seconds after which a release that could not be finished, though its cluster answered, is tried by calls again."""


@dataclass(frozen=True, slots=True)
class Release:
    """What has to be given back: an attachment's record and addresses, of a node, in a cluster (its members' URLs).

    nonce is empty where the host had no record of the attachment. datastore is the cluster's data model. why says what
    stood in the way last, tried when that was, in seconds of Unix time (0: the cluster was away).
    """

    members: tuple[str, ...]
    node: str
    key: Key
    nonce: str
    addresses: tuple[Address, ...]
    datastore: str = "etcdv3"
    why: str = ""
    tried: float = 0.0
    file: str = field(default="", compare=False)
    """The name of the file that it was read from, where it was."""

    @property
    def is_due(self) -> bool:
        """Whether a call that comes by should try it; a clock that was set back makes everything due."""
        return not 0 <= time.time() - self.tried < _PAUSE

    def __str__(self) -> str:
        key = self.key
        return f"{key.network} {key.container} {key.ifname}"


def release_of(endpoint: Endpoint, datastore: str, why: str) -> Release:
    """What a cluster has of a recorded attachment, which this call's conf does not name."""
    return Release(
        endpoint.members, endpoint.node, endpoint.key, endpoint.nonce, endpoint.addresses, datastore, why, time.time()
    )


class Journal:
    """A folder of releases, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, release: Release) -> None:
        """Note a release, or what became of it; it is on the disk when this returns."""
        text = json.dumps(
            {
                "members": release.members,
                "node": release.node,
                "network": release.key.network,
                "container": release.key.container,
                "ifname": release.key.ifname,
                "nonce": release.nonce,
                "addresses": [str(a) for a in release.addresses],
                "datastore": release.datastore,
                "why": release.why,
                "tried": release.tried,
            },
            indent=1,
        )
        path = self._path(release)
        try:
            atomic.make_folder(self.folder.parent, 0o755)  # profiles beside it are for everybody to read
            atomic.make_folder(self.folder, 0o700)
            atomic.replace(path, text.encode())
        except OSError as e:
            raise CniError(Code.IO, f"{path} can't be written: {e.strerror}") from e

    def of(self, members: Iterable[str], datastore: str) -> Iterator[Release]:
        """The releases for a cluster that has one of these members, in one of its data models."""
        wanted = set(members)
        for release in self.all():
            if release.datastore == datastore and wanted & set(release.members):
                yield release

    def all(self) -> Iterator[Release]:
        """Every release that can be read, whatever cluster it is for."""
        for path in self._files():
            found = _read(path)
            if isinstance(found, Release):
                yield found

    def length(self) -> int:
        """How many releases wait, whatever cluster they are for."""
        return len(self._files())

    def broken(self) -> tuple[str, ...]:
        """What can't be read, each in words that name the file."""
        found = [_read(path) for path in self._files()]
        return tuple(words for words in found if isinstance(words, str))

    def drop(self, release: Release) -> None:
        """It is finished."""
        path = self._path(release)
        try:
            path.unlink(missing_ok=True)
        except OSError as e:
            raise CniError(Code.IO, f"{path} can't be removed: {e.strerror}") from e

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(".json"))
        except OSError:
            return []

    def _path(self, release: Release) -> Path:
        if release.file:
            return self.folder / release.file
        key = release.key
        where = (release.datastore, sorted(release.members), release.node)
        said = json.dumps([*where, key.network, key.container, key.ifname, release.nonce])
        return self.folder / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Release | str | None:
    """The release, None where it is gone meanwhile, or in words why it is none."""
    try:
        raw = json.loads(atomic.read(path))
        texts = {name: raw[name] for name in ("node", "network", "container", "ifname", "nonce", "datastore")}
        if not all(isinstance(text, str) for text in (*texts.values(), *raw["members"])):
            raise TypeError("what should be text is none")
        return Release(
            members=tuple(raw["members"]),
            node=texts["node"],
            key=Key(texts["network"], texts["container"], texts["ifname"]),
            nonce=texts["nonce"],
            addresses=tuple(ip_address(a) for a in raw["addresses"]),
            datastore=texts["datastore"],
            why=str(raw.get("why", "")),
            tried=float(raw.get("tried", 0)),
            file=path.name,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        why = e.strerror if isinstance(e, OSError) else f"{type(e).__name__}: {e}"
        return f"{path} can't be read, so what it gives back stays taken: {why}"
