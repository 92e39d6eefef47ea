"""podman's files in; which networks it can see, or why it sees none of ours, out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.confs import conf_files
from calico_rkt.compiler.workspace.host import KEPT, host_confs
from calico_rkt.plugin.doctor.finding import Place
from calico_rkt.plugin.doctor.runtimes.reader import (
    CNI,
    Runtime,
    Toml,
    Wrong,
    folders,
    installed,
    read_toml,
    version_of,
)
from calico_rkt.plugin.install.payload import is_ours
from calico_rkt.plugin.runtime.names import graphroot

_CONF = "/etc/containers/containers.conf"
_PLUGINS = ("/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", "/opt/cni/bin")
_HELPERS = ("/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman")
_DRIVERS = ("/usr/local/libexec/netavark", "/usr/libexec/netavark", "/usr/local/lib/netavark", "/usr/lib/netavark")
_CHOICE = "defaultNetworkBackend"
"""The file that podman's first command writes its backend into; containers.conf counts before it."""
_KNOWN = ("cni", "netavark")
_DEAF = "every podman command ends with an error"
_DRIVERS_SINCE, _NETAVARK_ALONE = (4, 5), (5,)


def reads() -> Iterator[Runtime | Wrong]:
    """podman, where it is installed and calls CNI plugins, and what keeps it from our networks."""
    if not installed("podman"):
        return
    files = _configuration()
    yield from (f.wrong for f in files if f.wrong)
    if any(f.wrong for f in files):
        return
    odd = list(_odd(files))
    yield from odd
    if odd:
        return
    version = version_of("podman")
    backend, place, why = _backend(files, version)
    if backend == "cni":
        yield _by_cni(files, used=place is not None)
    elif version and version < _NETAVARK_ALONE and not _driver(files, version):
        yield from _invisible(place, why)
    elif version >= _NETAVARK_ALONE and not _driver(files, version) and _networks():
        cure = "calico-rkt install --with netavark"
        message = f"podman {_dotted(version)} finds no driver `calico` in {', '.join(_driver_folders(files))}"
        yield Wrong(
            "CR910", message, "podman network create --driver calico fails, so no container gets our networks", cure
        )


def _configuration() -> list[Toml]:
    """The files of containers.conf(5), the last one counting first."""
    named = os.environ.get("CONTAINERS_CONF")
    if named:
        return [read_toml(named, "podman")]
    found = ["/usr/share/containers/containers.conf", _CONF]
    found += map(str, sorted(Path(f"{_CONF}.d").glob("*.conf")))
    return [read_toml(path, "podman") for path in reversed(found)]


def _odd(files: list[Toml]) -> Iterator[Wrong]:
    """What is TOML and podman refuses all the same."""
    for file in files:
        network, backend = file.get("network"), file.get("network", "network_backend")
        if network is not None and not isinstance(network, dict):
            yield Wrong("CR912", "network is no table", _DEAF, f"${{EDITOR:-vi}} {file.path}", file.place("network"))
        elif backend not in (None, "", *_KNOWN):
            message = f"podman knows no network backend {backend!r}, only {' and '.join(_KNOWN)}"
            place = file.place("network_backend")
            cure = f"sed -i '{place.line}s/.*/network_backend = \"cni\"/' {shlex.quote(file.path)}"
            yield Wrong("CR912", message, _DEAF, cure, place)


def _said(files: list[Toml], key: str) -> Toml | None:
    return next((f for f in files if f.get("network", key) is not None), None)


def _backend(files: list[Toml], version: tuple[int, ...]) -> tuple[str, Place | None, str]:
    """The backend, where it is said, and how it came to be."""
    if version >= _NETAVARK_ALONE:
        return "netavark", None, "podman 5 and later know no other"
    said = _said(files, "network_backend")
    if said and said.text_at("network", "network_backend") in _KNOWN:
        backend = said.text_at("network", "network_backend")
        return backend, said.place("network_backend"), f"network_backend says {backend}"
    choice = graphroot(Path("/")) / _CHOICE
    try:
        chosen = choice.read_text("utf-8").strip()
    except (OSError, ValueError):
        chosen = ""
    if chosen in _KNOWN:
        return chosen, Place(str(choice)), "podman's first command chose it, since containers.conf names none"
    there = any((Path(folder) / "netavark").exists() for folder in _HELPERS)
    return ("netavark" if there else "cni"), None, "its first command will choose it, since containers.conf names none"


def _by_cni(files: list[Toml], *, used: bool) -> Runtime:
    confs, plugins = _said(files, "network_config_dir"), _said(files, "cni_plugin_dirs")
    where = confs.text_at("network", "network_config_dir") if confs else ""
    return Runtime(
        "podman",
        folders((where or CNI,), confs.place("network_config_dir") if confs and where else None),
        folders(
            plugins.texts_at("network", "cni_plugin_dirs") if plugins else _PLUGINS,
            plugins.place("cni_plugin_dirs") if plugins else None,
        ),
        suffixes=(".conflist",),
        newest="1.0.0",
        used=used,
    )


def _driver_folders(files: list[Toml]) -> tuple[str, ...]:
    said = _said(files, "netavark_plugin_dirs")
    return (said.texts_at("network", "netavark_plugin_dirs") if said else ()) or _DRIVERS


def _driver(files: list[Toml], version: tuple[int, ...]) -> bool:
    return version >= _DRIVERS_SINCE and any(is_ours(Path(f) / "calico") for f in _driver_folders(files))


def _invisible(place: Place | None, why: str) -> Iterator[Wrong]:
    """Where podman is used, or is the only one that could be meant."""
    lists = [name for name, path in host_confs((), os.environ).paths.items() if path.endswith(".conflist")]
    alone = not any(map(installed, ("containerd", "nerdctl", "crio", "nomad", "rkt")))
    if lists and (place or alone):
        yield Wrong(
            "CR901",
            f"podman's network backend is netavark, which reads no CNI conf ({why})",
            f"podman knows none of {', '.join(sorted(lists))}: `podman run --network` says network not found",
            _choose_cni(place),
            place,
        )


def choosing_cni() -> str:
    """The command that lets podman 4 call CNI plugins; nothing where it does. For who installs podman later, too."""
    files = _configuration()
    backend, place, _ = _backend(files, version_of("podman"))
    return "" if backend == "cni" and (place or installed("podman")) else _choose_cni(place)


def _choose_cni(place: Place | None) -> str:
    """The command that makes it CNI, whatever the file has already."""
    if place and place.line:
        return f"sed -i '{place.line}s/.*/network_backend = \"cni\"/' {shlex.quote(place.path)}"
    conf = os.environ.get("CONTAINERS_CONF") or _CONF
    if read_toml(conf, "podman").get("network") is not None:
        return f"sed -i '/^\\[network\\]/a network_backend = \"cni\"' {shlex.quote(conf)}"
    return f"printf '[network]\\nnetwork_backend = \"cni\"\\n' >>{shlex.quote(conf)}"


def _networks() -> list[str]:
    """The networks that podman may be meant to have: whoever keeps a conf for it, or lists for it."""
    try:
        kept = conf_files(KEPT, []) if KEPT.is_dir() else {}
    except CompileError:
        kept = {}
    return [p for p in (*kept, *host_confs((), os.environ).paths.values()) if p.endswith(".conflist")]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
