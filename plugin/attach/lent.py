"""An ADD that another ipam plugin serves in; a note of it until a record says whose the addresses are, out.

The plugin may have given an address when this process ends, and only a DEL gives it back: of an attachment that nobody
has recorded no DEL may ever come, so `gc` runs it. One file each, beside the records, since containers end with a boot.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.digest import sha256
from calico_rkt.compiler.typed import Any
from calico_rkt.compiler.values import dataclass, replace
from calico_rkt.plugin.attach import ipam_plugin
from calico_rkt.plugin.attach.patience import ONCE_HUNG, Patience
from calico_rkt.plugin.cni import program
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.cni.result import given_in, is_whole
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.netns import identity
from calico_rkt.plugin.link.pair import Netns
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.log import LOG

_FOLDER = "lent"
_ASIDE = "-"
_NOBODY_WRITES = 60.0
"""Seconds after which half a note has no writer; one who wakes up then finds it gone, and his ADD fails."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What an ipam plugin may have given to an attachment: asked with this part of a conf, found along path.

    place: device and inode of the container's network namespace, which netns led to. ended: its DEL came, or it was
    taken away otherwise, so it is nobody's any more. file is where that is noted.
    """

    key: Key
    netns: str
    place: tuple[int, int]
    version: str
    ipam: Mapping[str, Any]
    path: tuple[str, ...]
    ended: bool = False
    file: str = ""

    @property
    def words(self) -> str:
        """Why nobody uses it."""
        return "its DEL did not get there" if self.ended else "its ADD was cut short"

    @property
    def aside(self) -> bool:
        """Whether it is beside the note of a later ADD."""
        return _ASIDE in Path(self.file).name

    @property
    def is_over(self) -> bool:
        """Whether its path leads to the container no more."""
        return identity(self.netns) != self.place


def note(run_dir: Path, key: Key, request: Request, netns: Netns) -> None:
    """What is about to be asked for; on the disk when this returns."""
    ipam = program.loaded(request.raw).get("ipam", {})
    path = tuple(map(program.absolute, request.path))
    place = (netns.dev, netns.inode)
    try:
        _write(run_dir, Lent(key, str(Path(request.netns).absolute()), place, request.conf.cni_version, ipam, path))
    except CniError:  # it may stand there, only not for sure; nothing was asked for yet
        with suppress(CniError):
            drop(run_dir, key)
        raise


def note_recorded(run_dir: Path, endpoint: Endpoint) -> None:
    """What a record says was given, where another plugin gave it: before the record goes, and that is given back."""
    given = given_in(endpoint.result) if is_whole(endpoint.result) else None
    if given is not None:
        place, version = (endpoint.netns_dev, endpoint.netns_inode), str(given.said.get("cniVersion") or "0.4.0")
        _write(run_dir, Lent(endpoint.key, endpoint.netns, place, version, given.ipam, given.path, ended=True))


def note_ended(run_dir: Path, key: Key) -> None:
    """A DEL has come for what an ADD that was cut short may have been given."""
    found = _read(_path(run_dir, key))
    if found is not None and not found.ended:
        _write(run_dir, replace(found, ended=True))


def _write(run_dir: Path, lent: Lent) -> None:
    path, key = _path(run_dir, lent.key), lent.key
    told = {
        "key": [key.network, key.container, key.ifname],
        "netns": lent.netns,
        "place": lent.place,
        "version": lent.version,
        "ipam": lent.ipam,
        "path": lent.path,
        "ended": lent.ended,
    }
    try:
        atomic.make_folder(path.parent, 0o700)
        atomic.replace(path, json.dumps(told).encode())
    except OSError as e:
        raise CniError(Code.IO, f"{path} can't be written: {e.strerror}") from e


def drop(run_dir: Path, key: Key) -> None:
    """A record has it, or it was given back. Whoever asks holds the attachment's lock."""
    _drop(_path(run_dir, key))


def _drop(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        atomic.sweep(path)
    except OSError as e:
        raise CniError(Code.IO, f"{path} can't be removed: {e.strerror}") from e


def given_back(run_dir: Path, key: Key, by: Callable[[], object]) -> None:
    """Have it given back by what knows more of it than its note, and drop that."""
    by()
    drop(run_dir, key)


def is_noted(run_dir: Path, key: Key) -> bool:
    """Whether a note says that something was given, and to be given back."""
    return _read(_path(run_dir, key)) is not None


def is_none_but_of(run_dir: Path, key: Key, request: Request) -> bool:
    """Whether there is no note that can be read, or that of what the request's own ipam plugin was asked for."""
    found = _read(_path(run_dir, key))
    return found is None or found.ipam == program.loaded(request.raw).get("ipam")


def give_back(run_dir: Path, key: Key, patience: Patience | None = None) -> bool:
    """Run the plugin's DEL where there is a note; whether there was. CniError where it fails: the note stays.

    patience: that of an act which asks more of them.
    """
    return _give_back(_path(run_dir, key), patience or Patience())


def give_back_noted(one: Lent, patience: Patience) -> bool:
    """The same of this note, if it is still there."""
    return _give_back(Path(one.file), patience)


def make_way(run_dir: Path, key: Key, plugin: str) -> bool:
    """Before an ADD that asks this plugin: what an attempt that ended was given is given back; whether something was.

    CniError where the same plugin fails at it, which would take the new address for the old one some day: so would gc,
    if something were still set aside of it. Another one can wait: its note is set aside, for gc.
    """
    patience = Patience(ONCE_HUNG)
    before = [p for p in _aside_of(run_dir, key) if (one := _read(p)) is not None and one.ipam.get("type") == plugin]
    given = [_give_back(p, patience) for p in before]
    try:
        return give_back(run_dir, key, patience) or any(given)
    except CniError as e:
        path = _path(run_dir, key)
        found = _read(path)
        if found is None or found.ipam.get("type") == plugin:
            raise
        _set_aside(path, found)
        who = f"{key.network} {key.container} {key.ifname}"
        LOG.warning("ADD %s: what another ipam plugin gave before waits for calico-rkt gc: %s", who, e.msg)
        return any(given)


def _aside_of(run_dir: Path, key: Key) -> list[Path]:
    """The notes beside that of an attachment, in order."""
    path = _path(run_dir, key)
    return sorted(path.parent.glob(f"{path.stem}{_ASIDE}*{path.suffix}"))


def _set_aside(path: Path, found: Lent) -> None:
    number = sha256(json.dumps(found.ipam, sort_keys=True).encode()).hexdigest()[:8]
    try:
        path.rename(path.with_name(f"{path.stem}{_ASIDE}{number}{path.suffix}"))
    except OSError as e:
        raise CniError(Code.IO, f"{path} can't be renamed: {e.strerror}") from e


def _give_back(path: Path, patience: Patience) -> bool:
    found = _read(path)
    if found is None:
        atomic.sweep(path)  # half a note is of before the plugin was asked
        return False
    key = found.key
    raw = {"cniVersion": found.version, "name": key.network, "type": "calico", "ipam": found.ipam}
    conf = NetConf(key.network, "calico", found.version, Ipam(str(found.ipam.get("type", ""))))
    netns = "" if found.is_over else found.netns
    told = Request("DEL", conf, json.dumps(raw).encode(), key.container, key.ifname, netns=netns, path=found.path)
    try:
        with patience.asking(conf.ipam.type) as most:
            ipam_plugin.ipam_del(told, most=most)
    except program.EndedError:
        with suppress(OSError):
            os.utime(path)  # the others come before it the next time
        raise
    except ipam_plugin.MissingError as e:
        forget = f"put it back; or, once that is gone for good, what it gave is forgotten by: rm {path}"
        raise ipam_plugin.MissingError(e.code, e.msg, f"{e.details}\n{forget}") from e
    _drop(path)
    return True


def sweep(run_dir: Path) -> None:
    """Take away what writers left that were killed, of attachments that nobody names any more."""
    with suppress(OSError):
        for path in (run_dir / _FOLDER).iterdir():
            if atomic.is_left(path.name) and time.time() - path.stat().st_mtime > _NOBODY_WRITES:
                path.unlink(missing_ok=True)


def noted(run_dir: Path, network: str | None = None) -> Iterator[Lent]:
    """All of them, or those of one network; what was waited for in vain comes last."""
    for path in sorted((run_dir / _FOLDER).glob("*.json"), key=_changed):
        found = _read(path)
        if found is not None and network in (None, found.key.network):
            yield found


def _changed(path: Path) -> tuple[int, str]:
    with suppress(OSError):
        return path.stat().st_mtime_ns, path.name
    return 0, path.name


def _path(run_dir: Path, key: Key) -> Path:
    said = json.dumps([key.network, key.container, key.ifname])
    return run_dir / _FOLDER / f"{sha256(said.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Lent | None:
    try:
        raw = json.loads(path.read_bytes())
        network, container, ifname = map(str, raw["key"])
        device, inode = map(int, raw["place"])
        return Lent(
            key=Key(network, container, ifname),
            netns=str(raw["netns"]),
            place=(device, inode),
            version=str(raw["version"]),
            ipam=dict(raw["ipam"]),
            path=tuple(map(str, raw["path"])),
            ended=raw.get("ended") is True,
            file=str(path),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        LOG.error("%s can't be read, so what it gives back stays taken: %s: %s", path, type(e).__name__, e)
        return None
