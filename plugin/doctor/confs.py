"""The confs of this host and its runtimes in; what of a conf its runtimes pass over, can't run or can't read, out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from calico_rkt.compiler.conf.chain import Chain, read_chain
from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS
from calico_rkt.compiler.conf.shape import CONF_SUFFIXES, TYPE, shape_of
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.files import read_file
from calico_rkt.compiler.workspace.host import KEPT, LIVE
from calico_rkt.plugin.attach.ipam_plugin import OWN
from calico_rkt.plugin.cni.program import find
from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.doctor.runtimes.reader import Folder, Runtime, Wrong

_OWN_IPAM = (OWN, "")
_PACKAGED = {"portmap", "loopback", "bandwidth", "firewall", "tuning", "static", "dhcp", "sbr", "bridge", "ptp", "vlan"}
"""Plugins of Debian's containernetworking-plugins that lists name."""


def configurations(host: Host) -> Check:
    """What keeps a runtime from our networks by its own configuration."""
    for runtime in host.runtimes:
        if isinstance(runtime, Wrong):
            yield Finding(
                runtime.code,
                ERROR,
                runtime.message,
                runtime.follows,
                runtime.cure,
                runtime.place,
                advice=runtime.advice,
            )
        else:
            where = ", ".join(dict.fromkeys(f.path for f in runtime.confs))
            yield f"{runtime.name} reads {', '.join(f'*{s}' for s in runtime.suffixes)} of {where}"


def unread(host: Host) -> Check:
    """A conf of ours that no runtime of this host reads, and a runtime that was told to read none of them."""
    paths = host.decided.workspace.conf_paths
    live = {n: p for n, p in paths.items() if Path(p).parent not in (KEPT, LIVE[0])}  # CR724, CR223 are about those
    elsewhere = [r for r in host.readers if r.used and live and not any(_read_by(r, p) for p in live.values())]
    for runtime in elsewhere:
        said = next((f.said for f in runtime.confs if f.said), None)
        if said:
            copied = " ".join(shlex.quote(p) for p in live.values() if p.endswith(runtime.suffixes))
            message = f"{runtime.name} reads confs of {runtime.confs[0].path} alone, where none of ours is"
            follows = f"no container of {runtime.name} gets into a network of ours"
            cure = f"mkdir -p {runtime.confs[0].path} && cp -p {copied} {runtime.confs[0].path}/"
            yield Finding("CR906", ERROR, message, follows, cure, said)
    for network, path in live.items():
        looking = [r for r in host.readers if any(Path(f.path) == Path(path).parent for f in r.confs)]
        reading = [r for r in looking if _read_by(r, path)]
        if looking and not reading:
            names = " and ".join(r.name for r in looking)
            reads = " or ".join(f"*{s}" for r in looking for s in r.suffixes)
            message = f"passed over by {names}, which of all suffixes takes only {reads}"
            follows = f"no container gets into network {network!r}"
            yield Finding("CR902", ERROR, message, follows, _renaming(path), Place(path))
        elif reading:
            yield f"{path} is read by {', '.join(r.name for r in reading)}"


def _read_by(runtime: Runtime, path: str) -> bool:
    return path.endswith(runtime.suffixes) and any(Path(f.path) == Path(path).parent for f in runtime.confs)


def _renaming(path: str) -> str:
    """The command that makes a list of it: one plugin's keys go into the list, but for the two that are the list's."""
    new = str(PurePath(path).with_suffix(".conflist"))
    program = (
        "import json,sys; c=json.load(open(sys.argv[1])); "
        "json.dump({'cniVersion':c.pop('cniVersion','1.0.0'),'name':c.pop('name'),'plugins':[c]},open(sys.argv[2],'w'))"
    )
    return f'python3 -c "{program}" {shlex.quote(path)} {shlex.quote(new)} && rm {shlex.quote(path)}'


def plugins(host: Host) -> Check:
    """Each plugin that a conf names, in the folders of who reads it."""
    lacking: dict[str, list[tuple[Runtime, str]]] = {}
    for runtime in (r for r in host.readers if r.used):
        found = dict(_lacking(runtime))
        for name in (TYPE,) if TYPE in found else found:  # a folder that lacks ours is the wrong one
            lacking.setdefault(name, []).append((runtime, found[name]))
        if not found:
            yield f"{runtime.name} finds every plugin of its confs in {_folders(runtime)}"
    for name, who in lacking.items():
        yield _told(name, [r for r, _ in who], who[0][1])


def _lacking(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """The plugins that a runtime would not find, each with the conf that names it; none where the runtime needs it."""
    folders = tuple(f.path for f in runtime.plugins)
    confs = list(_read(runtime))
    for path, chain in confs:
        yield from ((name, path) for name in _programs(chain) if find(name, folders) is None)
    yield from ((name, "") for name in runtime.needs if confs and find(name, folders) is None)


def _folders(runtime: Runtime) -> str:
    return ", ".join(f.path for f in runtime.plugins)


def _told(name: str, who: list[Runtime], path: str) -> Finding:
    """One finding about a plugin, whoever lacks it."""
    names, where = " and ".join(r.name for r in who), "; ".join(dict.fromkeys(_folders(r) for r in who))
    said = next((f.said for r in who for f in r.plugins if f.said), None)
    to = who[0].plugins[-1].path if who[0].plugins else "/opt/cni/bin"
    elsewhere = find(name, ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"))
    link = f"mkdir -p {shlex.quote(to)} && ln -sf {elsewhere} {shlex.quote(f'{to}/{name}')}" if elsewhere else ""
    if name == TYPE:
        message = f"`calico` is not found by {names} in {where}"
        follows = f'every container of {names} in a network of ours fails: failed to find plugin "calico"'
        return Finding("CR904", ERROR, message, follows, link or "calico-rkt install", said)
    cure = link or ("apt-get install -y containernetworking-plugins" if name in _PACKAGED else f"ls -l {to}/")
    if not path:
        message = f"the plugin {name!r}, which every pod of {names} needs, is not in {where}"
        return Finding("CR909", ERROR, message, "every pod stays NotReady, and can't be removed", cure, said)
    message = f"names the plugin {name!r}, not found by {names} in {where}"
    follows = f"every container in that network fails: failed to find plugin {name!r}"
    return Finding("CR903", ERROR, message, follows, cure, Place(path, _line(path, name)))


def versions(host: Host) -> Check:
    """A cniVersion whose answers a runtime here can't read."""
    for runtime in (r for r in host.readers if r.used):
        for path, chain in _read(runtime):
            # One that speaks no 1.1.0 reads no `cniVersions`.
            version = chain.before if _numbers(runtime.newest) < _numbers(SUPPORTED_VERSIONS[-1]) else chain.cni_version
            if _numbers(version) > _numbers(runtime.newest):
                message = f"cniVersion {version} is newer than {runtime.name} here can read ({runtime.newest})"
                follows = "the ADD is done, then its result is refused: the container fails, and its removal may stick"
                cure = f'sed -i \'s/"cniVersion": *"[^"]*"/"cniVersion": "{runtime.newest}"/\' {shlex.quote(path)}'
                yield Finding("CR905", ERROR, message, follows, cure, Place(path, _line(path, version)))


def first(host: Host) -> Check:
    """Who takes the first file of its folder for everything takes another's."""
    for runtime in (r for r in host.readers if r.used and r.one_conf):
        for folder in runtime.confs:
            files = _files(folder, runtime)
            ours = [p for p, data in files.items() if shape_of(p, data).ours]
            if ours and next(iter(files)) != ours[0]:
                message = f"{runtime.name} takes the first file of {folder.path} alone, which is {next(iter(files))}"
                follows = f"its pods get that network, and none the one of {ours[0]}: no policy of ours holds for them"
                cure = f"mv {shlex.quote(ours[0])} {shlex.quote(f'{folder.path}/00-{PurePath(ours[0]).name}')}"
                yield Finding("CR907", ERROR, message, follows, cure, folder.said)
            elif not files and folder in runtime.confs[1:]:
                message = f"{runtime.name} reads {folder.path}, where no conf is"
                cure = f"mkdir -p {shlex.quote(folder.path)} && cp {KEPT}/NETWORK.conflist {shlex.quote(folder.path)}/"
                yield Finding(
                    "CR907",
                    WARNING,
                    message,
                    "pods of that handler fail: cni plugin not initialized",
                    cure,
                    folder.said,
                )


def _files(folder: Folder, runtime: Runtime) -> dict[str, bytes]:
    """The conf files of a folder that a runtime reads, sorted."""
    found: dict[str, bytes] = {}
    try:
        paths = sorted(Path(folder.path).iterdir())
    except OSError:
        return found
    for path in paths:
        if path.name.endswith(CONF_SUFFIXES) and path.name.endswith(runtime.suffixes) and path.is_file():
            try:
                found[str(path)] = read_file(path)
            except CompileError:  # told by who reads all confs
                continue
    return found


def _read(runtime: Runtime) -> Iterator[tuple[str, Chain]]:
    """The confs of ours that a runtime reads, those that it may use."""
    for folder in runtime.confs:
        for path, data in _files(folder, runtime).items():
            if shape_of(path, data).ours:
                try:
                    yield path, read_chain(data, path)
                except CompileError:
                    continue


def _programs(chain: Chain) -> tuple[str, ...]:
    """The programs that are run for a conf: its plugins, and who chooses addresses where we don't."""
    types = [str(p["type"]) for p in chain.plugins]
    ipam: object = chain.plugins[0].get("ipam")
    choosing = ipam.get("type") if isinstance(ipam, Mapping) else ""
    more = [choosing] if isinstance(choosing, str) and choosing not in _OWN_IPAM else []
    return tuple(dict.fromkeys((*types, *more)))


def _line(path: str, word: str) -> int:
    """The line that has the word in quotes; 0 where none does."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return 0
    return next((n for n, line in enumerate(lines, 1) if f'"{word}"' in line), 0)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d{1,9}", version))
