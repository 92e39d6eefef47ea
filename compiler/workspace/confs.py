"""The bytes of conf files in; the networks of this plugin, and its confs that can't be used, out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, fields
from pathlib import PurePath

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.conf.shape import CONF_SUFFIXES, TYPE, shape_of
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, warning
from calico_rkt.compiler.values import dataclass
from calico_rkt.compiler.workspace.files import entries_of, read_file
from calico_rkt.compiler.workspace.place import Place

READERS: Mapping[str, str] = {
    ".conf": "rkt, containerd, nerdctl, CRI-O, Nomad",
    ".conflist": "podman, containerd, nerdctl, CRI-O, Nomad",
    ".json": "containerd, nerdctl, CRI-O, Nomad",
}
"""Who reads a file of this suffix as a conf."""
_NO_MATTER = ("cni_version", "cni_version_before", "log_level", "profiles_named")
"""Fields of a conf in which two confs of one network may differ."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A conf that is ours, or may be, and can't be used, with why; name is its network's, empty if nobody can tell."""

    path: str
    name: str
    diagnostics: tuple[Diagnostic, ...] = field(compare=False)

    @property
    def words(self) -> str:
        return f"{self.path} can't be read"


@dataclass(frozen=True, slots=True)
class Confs:
    """One conf for each network, with its file; what can't be used; and what is to be said of those that can."""

    confs: tuple[NetConf, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    unusable: tuple[Unusable, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def known(self) -> dict[str, NetConf]:
        """The confs by the names of their networks."""
        return {c.name: c for c in self.confs}


def is_conf_name(name: str) -> bool:
    """Whether runtimes take a file of this name for a conf: by its suffix, hidden or not."""
    return name.endswith(CONF_SUFFIXES)


def conf_files(folder: Place, unusable: list[Unusable]) -> dict[str, bytes]:
    """The files of a folder that are confs by their names, sorted; unusable takes those that can't be read.

    CompileError (CR701) where nobody can tell what is there.
    """
    return files_of([p for p in entries_of(folder) if is_conf_name(p.name)], unusable)


def nearly_confs(folder: Place) -> tuple[Diagnostic, ...]:
    """A warning for each conf of ours in a folder that no runtime reads, since its suffix is in another case."""
    found: list[Diagnostic] = []
    with suppress(CompileError):
        paths = [p for p in entries_of(folder) if not is_conf_name(p.name) and is_conf_name(p.name.lower())]
        for name, data in files_of(paths, []).items():
            if shape_of(name.lower(), data).ours:
                suffix = PurePath(name).suffix.lower()
                found.append(warning("CR707", f"not read: the name does not end in {suffix}", path=name))
    return tuple(found)


def files_of(paths: list[Place], unusable: list[Unusable]) -> dict[str, bytes]:
    """The bytes of these conf files; unusable takes those that can't be read."""
    out: dict[str, bytes] = {}
    for path in paths:
        try:
            out[str(path)] = read_file(path)
        except CompileError as e:
            if path.suffix != ".json" or not path.is_dir():
                unusable.append(Unusable(str(path), "", e.diagnostics))
    return out


def read_confs(
    files: Mapping[str, bytes], environ: Mapping[str, str] | None, unusable: tuple[Unusable, ...] = ()
) -> Confs:
    """What the files are, in their order; of two of one network the first counts. environ as in parse_conf.

    unusable are those that could not even be read.
    """
    confs: dict[str, NetConf] = {}
    paths: dict[str, str] = {}
    bad = list(unusable)
    found: list[Diagnostic] = []
    for path, data in files.items():
        shape = shape_of(path, data)
        if not shape.ours:
            continue
        try:
            conf, warnings = parse_conf(data, path, preview=True, environ=environ)
        except CompileError as e:
            bad.append(Unusable(path, shape.name, e.diagnostics))
            continue
        found += warnings
        if conf.type != TYPE:
            continue  # by the key that counts in a file of this suffix; it was told
        first = confs.setdefault(conf.name, conf)
        if first is not conf:
            found += _differing(first, paths[conf.name], conf, path)
        paths.setdefault(conf.name, path)
    return Confs(tuple(confs.values()), paths, tuple(bad), tuple(found))


def not_of_rkt(paths: Collection[str]) -> Iterator[Diagnostic]:
    """A warning for each conf in rkt's own folder that rkt does not read; paths are those of confs there."""
    for path in paths:
        if not path.endswith(".conf"):
            yield warning("CR223", "rkt reads *.conf alone, and nobody else this folder", path=path, hint="rename it")


def readers(path: str) -> str:
    """Who reads the conf file of this path, in words."""
    return READERS.get(PurePath(path).suffix, "")


def _differing(first: NetConf, first_path: str, second: NetConf, path: str) -> Iterator[Diagnostic]:
    keys = [f.name for f in fields(NetConf) if getattr(first, f.name) != getattr(second, f.name)]
    keys = [k for k in keys if k not in _NO_MATTER]
    if keys:
        message = f"the network {first.name!r} has another conf in {first_path}, which differs in {', '.join(keys)}"
        hint = "keep one; the first counts here, and a runtime that reads another folder or suffix takes the other"
        yield warning("CR710", message, path=path, hint=hint)
