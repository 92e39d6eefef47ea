"""A network that somebody wants in, the files that it is made of out; CniError, with the way out, where it can't be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.conf.netconf import PROFILES_DIR
from calico_rkt.compiler.grammar.overrides import parse_file
from calico_rkt.compiler.ir.ids import NETWORK_NAME, object_id
from calico_rkt.compiler.workspace.clashes import same_id
from calico_rkt.compiler.workspace.confs import is_conf_name
from calico_rkt.compiler.workspace.files import SUFFIXES
from calico_rkt.compiler.workspace.host import KEPT, host_confs
from calico_rkt.compiler.workspace.taken import taken
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.networks.runtimes import RUNTIMES, Runtime
from calico_rkt.plugin.networks.subnets import Net, refuse_taken, taken_here
from calico_rkt.plugin.networks.texts import conf_text, override_text
from calico_rkt.plugin.runtime.chain import folders_of

_OF_PODMAN = ("bridge", "container", "default", "none", "ns", "pasta", "private", "slirp4netns")
"""What --network means to podman when it is no network."""


@dataclass(frozen=True, slots=True)
class New:
    """A path that is to be: a file with this text, or a link to a path. same: who looks has seen the text already."""

    path: Path
    words: str
    text: str = ""
    link: str = ""
    same: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """new are files and links in the order in which they are put, there those that stay, needs command lines.

    nets: the network's addresses, which nobody else may have by then.
    """

    nets: tuple[Net, ...]
    new: tuple[New, ...]
    there: tuple[str, ...]
    needs: tuple[str, ...]
    use: str
    words: str
    """Who reads it."""


def planned(name: str, nets: Sequence[Net], whom: str) -> Plan:
    """What makes a network of this name for a runtime of RUNTIMES, with a port mapper where that asks for ports."""
    runtime = RUNTIMES[whom]
    _refuse_name(name, whom)
    refuse_taken(nets, taken_here())
    file = _file(runtime, name)
    first = file.name == min((*_confs_in(runtime.folder), file.name))
    conf = conf_text(name, nets, runtime)
    new = [New(file, f"the network, as it is read by {runtime.words}", conf)]
    link = Path(runtime.links.replace("{name}", name)) / file.name if runtime.links else None
    if link and not (runtime.first and first):
        new.append(New(link, f"a link, where {runtime.words} looks", link=os.path.relpath(file, link.parent)))
    if runtime.deletes():
        new.append(New(KEPT / file.name, "its copy, kept: podman network rm deletes the first", conf, same=True))
    override, there = _override(name)
    new += override
    for one in new:
        if os.path.lexists(one.path):
            raise CniError(Code.IO, f"{one.path} is there already, and is not overwritten", "move it, or choose a name")
    needs = (*_lacking(runtime), *runtime.needs(name, first))
    return Plan(tuple(nets), tuple(new), there, needs, _use(runtime, name, first=first), runtime.words)


def _refuse_name(name: str, whom: str) -> None:
    if not NETWORK_NAME.fullmatch(name):
        hint = "letters, digits, '_', '.' and '-', beginning with a letter or digit"
        raise CniError(Code.INVALID_ENVIRONMENT, f"{name!r} can't be the name of a network", hint)
    if len(name) > 63:
        raise CniError(Code.INVALID_ENVIRONMENT, f"the name {name!r} is too long", "63 characters at the most")
    if whom == "podman" and name in _OF_PODMAN:
        message = f"a network can't be called {name!r}: podman's --network {name} means something else"
        raise CniError(Code.INVALID_ENVIRONMENT, message, "choose another name")
    found = host_confs((), os.environ)
    for bad in found.unusable:
        if bad.name == name:
            raise CniError(
                Code.INVALID_CONF, f"{bad.words}, and names the network {name!r}", "calico-rkt check says why"
            )
    if path := found.paths.get(name):
        raise CniError(
            Code.INVALID_CONF, f"the network {name!r} is there already: {path}", "change that file, or choose a name"
        )
    paths = {**found.paths, name: ""}
    for problem in (*taken({name: ""}), *same_id(paths)):
        if repr(name) in problem.message:
            raise CniError(Code.INVALID_CONF, problem.message, problem.hint)


def _confs_in(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if is_conf_name(p.name)] if folder.is_dir() else []


def _file(runtime: Runtime, name: str) -> Path:
    """Behind all that was made so before, so that the first of a folder stays the first."""
    there = _confs_in(runtime.folder)
    used = [int(n[:2]) for n in there if n[:2].isdigit() and n[2:3] == "-" and int(n[:2]) % 10 == 0]
    number = min(max(used, default=0) + 10, 90)
    return runtime.folder / f"{number}-{name}{'.conflist' if runtime.listed else '.conf'}"


def _override(name: str) -> tuple[list[New], tuple[str, ...]]:
    """The override that is to be written, none where the network has one, which is named."""
    folder = Path(PROFILES_DIR)
    ours = [p for p in sorted(folder.iterdir()) if p.suffix in SUFFIXES] if folder.is_dir() else []
    for path in ours:
        if path.is_file() and parse_file(str(path), path.read_bytes()).owner == object_id(name):
            return [], (f"{path} (the override of {name}, which counts from now on)",)
    text = override_text(name)
    return [
        New(folder / f"{name}.yaml", "what it lets through: nothing new yet, the usual rules are comments", text)
    ], ()


def _lacking(runtime: Runtime) -> list[str]:
    """How what maps its ports is installed, where it is not here."""
    if not runtime.ports:
        return []
    packages = (
        [] if any(Path(f, "portmap").exists() for f in folders_of(os.environ)) else ["containernetworking-plugins"]
    )
    packages += [] if shutil.which("iptables") else ["iptables"]
    return (
        [f"apt-get install -y {' '.join(packages)}    # maps ports; no container starts without it"] if packages else []
    )


def _use(runtime: Runtime, name: str, *, first: bool) -> str:
    if runtime is RUNTIMES["cri"] and not first:
        return f"crictl runp -r {name} ..."
    if runtime is RUNTIMES["containerd"] and not first:
        return "ctr run --with-ns network:/run/netns/c1 ..."
    return runtime.use.replace("{name}", name)
