"""An attachment that this program made as a runtime in; what its DEL will need, kept until that is done, out.

One file each, under /run: it ends with the boot, as containers do. libcni keeps the same in its cache of results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calico_rkt.compiler import atomic
from calico_rkt.compiler.conf.chain import Chain, chain_of
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key

_SUFFIX = ".json"
_VERSION = 1


class DamagedError(CniError):
    """A record is there and can't be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked for, with which plugins, and the result; None until the last plugin's ADD has ended.

    identity: device and inode of what was at the path netns; another namespace may be there by now.
    """

    key: Key
    netns: str
    identity: tuple[int, int]
    chain: Chain
    folders: tuple[str, ...]
    capabilities: Mapping[str, Any]
    result: Mapping[str, Any] | None = None


class Records:
    """The records of one host. Who changes one holds its key's lock (attachments.py)."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / "attached"

    def get(self, key: Key) -> Record | None:
        """DamagedError where it is there and can't be read."""
        return self._read(self._path(key))

    def all(self) -> Iterator[Record | CniError]:
        """Every record, by file name; the error of one that can't be read in its place."""
        paths = sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder.is_dir() else []
        for path in paths:
            try:
                found = self._read(path)
            except CniError as e:
                yield e
                continue
            if found is not None:
                yield found

    def put(self, record: Record) -> None:
        key = record.key
        text = {
            "version": _VERSION,
            "network": key.network,
            "container": key.container,
            "ifname": key.ifname,
            "netns": record.netns,
            "identity": record.identity,
            "conf": record.chain.to_json(),
            "folders": record.folders,
            "capabilities": record.capabilities,
            "result": record.result,
        }
        try:
            atomic.make_folder(self.folder, 0o700)
            atomic.replace(self._path(key), json.dumps(text, indent=2).encode() + b"\n")
        except OSError as e:
            raise CniError(Code.IO, f"can not record an attachment in {self.folder}: {e.strerror}") from e

    def remove(self, key: Key) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: Key) -> Path:
        joined = json.dumps([key.network, key.container, key.ifname]).encode()
        return self.folder / f"{hashlib.sha256(joined).hexdigest()[:32]}{_SUFFIX}"

    def _read(self, path: Path) -> Record | None:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as e:
            raise DamagedError(Code.IO, f"the record of an attachment, {path}, can't be read: {e.strerror}") from e
        try:
            loaded = json.loads(text)
            return Record(
                Key(loaded["network"], loaded["container"], loaded["ifname"]),
                loaded["netns"],
                _identity(loaded["identity"]),
                chain_of(loaded["conf"], str(path)),
                tuple(loaded["folders"]),
                dict(loaded["capabilities"]),
                loaded["result"],
            )
        except (ValueError, TypeError, KeyError, CompileError, RecursionError) as e:
            raise DamagedError(
                Code.IO,
                f"the record of an attachment, {path}, is damaged",
                "calico-rkt detach, as it was attached, takes it away",
            ) from e


def _identity(given: list[object]) -> tuple[int, int]:
    device, inode = given
    if not isinstance(device, int) or not isinstance(inode, int):
        raise TypeError(f"{given!r} are no two numbers")
    return device, inode
