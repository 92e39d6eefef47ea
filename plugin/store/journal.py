"""Releases that the cluster could not be told of, as files that outlive a reboot; who gets through finishes them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from calico_rkt.compiler.conf import Address
from calico_rkt.plugin.log import LOG
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store.protocol import Key


@dataclass(frozen=True, slots=True)
class Release:
    """What has to be given back: an attachment's record and addresses, of a node, in a cluster (its members' URLs).

    nonce is empty where the host had no record of the attachment. datastore is the cluster's data model.
    """

    members: tuple[str, ...]
    node: str
    key: Key
    nonce: str
    addresses: tuple[Address, ...]
    datastore: str = "etcdv3"


class Journal:
    """A folder of releases, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, release: Release) -> None:
        """Note a release; it is on the disk when this returns."""
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
            },
            indent=1,
        )
        path = self._path(release)
        fresh = path.with_suffix(".next")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as e:
            raise CniError(Code.IO, f"{path} can't be written: {e.strerror}") from e

    def of(self, members: Iterable[str], datastore: str) -> Iterator[Release]:
        """The releases for a cluster that has one of these members, in one of its data models."""
        wanted = set(members)
        for path in sorted(self.folder.glob("*.json")):
            release = _read(path)
            if release is not None and release.datastore == datastore and wanted & set(release.members):
                yield release

    def length(self) -> int:
        """How many releases wait, whatever cluster they are for."""
        try:
            return sum(entry.name.endswith(".json") for entry in os.scandir(self.folder))
        except FileNotFoundError:
            return 0

    def drop(self, release: Release) -> None:
        self._path(release).unlink(missing_ok=True)

    def _path(self, release: Release) -> Path:
        key = release.key
        said = json.dumps([release.datastore, key.network, key.container, key.ifname, release.nonce])
        return self.folder / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Release | None:
    try:
        raw = json.loads(path.read_bytes())
        return Release(
            members=tuple(raw["members"]),
            node=raw["node"],
            key=Key(raw["network"], raw["container"], raw["ifname"]),
            nonce=raw["nonce"],
            addresses=tuple(ip_address(a) for a in raw["addresses"]),
            datastore=raw["datastore"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as e:
        LOG.error("%s is no release that can be finished: %s", path, e)
        return None
