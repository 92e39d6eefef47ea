"""Where this host last found room in a pool in, where to look first out; in a file, since an ADD may be a process.

Nothing here is needed for a right answer, so a file that can't be read is as good as none.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.process.log import LOG

_SECONDS, _PAUSE = 2.0, 0.005
MOST = 256
"""Free addresses that are remembered of one look through a full pool."""


@dataclass(slots=True)
class _Known:
    """at: the address each range set of a network got last. free: those seen free in a crowded pool."""

    at: dict[str, str] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)
    crowded: bool = False


class Hints:
    """What this host knows of one pool. Any process may use it at the same time."""

    def __init__(self, folder: Path, pool_name: str) -> None:
        self._path = folder / f"{pool_name}.json"

    def claim(self, place: str, following: Callable[[Address | None], Address | None]) -> Address | None:
        """The address behind the last one of a network's range set, for this caller alone."""

        def advance(known: _Known) -> str:
            found = following(_address(known.at.get(place, "")))
            if found is not None:
                known.at[place] = str(found)
            return str(found or "")

        return _address(self._change(advance))

    def took(self, place: str, address: Address) -> None:
        """Where room was found without a look through the whole pool."""

        def note(known: _Known) -> str:
            known.at[place] = str(address)
            known.crowded = known.crowded and bool(known.free)
            return ""

        self._change(note)

    def one_free(self) -> Address | None:
        """An address that was seen free, for this caller alone."""
        return _address(self._change(lambda known: known.free.pop(0) if known.free else ""))

    def seen_free(self, addresses: Iterable[Address]) -> None:
        """What a look through the whole pool found."""
        fresh = [str(a) for a in addresses][:MOST]

        def note(known: _Known) -> str:
            known.free, known.crowded = fresh, True
            return ""

        self._change(note)

    def given_back(self, address: Address) -> None:
        """In a crowded pool the next one would hardly find it by chance."""

        def note(known: _Known) -> str:
            if known.crowded and len(known.free) < MOST and str(address) not in known.free:
                known.free.append(str(address))
            return ""

        self._change(note)

    def _change(self, act: Callable[[_Known], str]) -> str:
        """Read, act, write, under the file's lock."""
        try:
            atomic.make_folder(self._path.parent, 0o700)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "r+", encoding="utf-8") as file:
                _lock(fd)
                before = file.read()
                known = _parse(before)
                answer = act(known)
                after = json.dumps({"at": known.at, "free": known.free, "crowded": known.crowded})
                if after != before:
                    file.seek(0)
                    file.truncate()
                    file.write(after)
                return answer
        except OSError as e:
            LOG.info("%s: %s", self._path, e.strerror)
            return act(_Known())


def _lock(fd: int) -> None:
    """BlockingIOError where somebody holds it for seconds, such as a process that was stopped."""
    until = time.monotonic() + _SECONDS
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _parse(text: str) -> _Known:
    try:
        raw = json.loads(text)
        return _Known(dict(raw["at"]), [str(a) for a in raw["free"]], bool(raw["crowded"]))
    except (ValueError, KeyError, TypeError):
        return _Known()


def _address(text: str) -> Address | None:
    try:
        return ip_address(text) if text else None
    except ValueError:
        return None
