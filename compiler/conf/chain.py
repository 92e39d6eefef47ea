"""The bytes of a conf file in; the plugins that a runtime runs for it, each with its own object, out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS
from calico_rkt.compiler.conf.shape import LARGEST_CONF, TYPE
from calico_rkt.compiler.conf.versions import chosen, is_version
from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.text.json_nodes import parse_json

PORTS = "portMappings"
"""The capability of who is handed published ports (CNI's CONVENTIONS)."""
PORTMAP = '{"type": "portmap", "capabilities": {"portMappings": true}}'
"""The plugin that most lists map ports with, as it stands in a list."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A network's plugins in the order of their ADD. Each object is as its file has it, without name and cniVersion.

    cni_version is what a runtime of today takes, before what one does that reads no `cniVersions`.
    """

    name: str
    cni_version: str
    plugins: tuple[Mapping[str, Any], ...]
    before: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """The same as the object of a .conflist.

        >>> read_chain(b'{"name": "web", "type": "calico"}', "web.conf").to_json()
        {'cniVersion': '0.1.0', 'name': 'web', 'plugins': [{'type': 'calico'}]}
        """
        return {"cniVersion": self.cni_version, "name": self.name, "plugins": list(self.plugins)}

    @property
    def port_mappers(self) -> tuple[Mapping[str, Any], ...]:
        """The plugins that map published ports. Ours may declare the capability, too: it is told of ports, no more."""
        return tuple(p for p in self.plugins if p["type"] != TYPE and PORTS in declared(p))


def declared(plugin: Mapping[str, Any]) -> frozenset[str]:
    """The capabilities that a plugin's object declares."""
    found = plugin.get("capabilities")
    return frozenset(k for k, v in found.items() if v is True) if isinstance(found, dict) else frozenset()


def read_chain(data: bytes, path: str) -> Chain:
    """A single conf is a chain of one. CompileError where no runtime would take the file.

    What is in our own plugin's object is judged by parse_conf alone.
    """
    twice: list[Any] = []  # Go's JSON takes the last of two equal keys, as Python's does; parse_conf has told
    parse_json(path, data, forgiving=False, largest=LARGEST_CONF, twice=twice)
    found = json.loads(data)
    if not isinstance(found, dict):
        raise CompileError([error("CR201", "a conf is a JSON object", path=path)])
    return chain_of(found, path)


def chain_of(loaded: Mapping[str, Any], path: str) -> Chain:
    """The same of an object that was read already; path is what errors call it."""
    name, version = loaded.get("name"), loaded.get("cniVersion") or ""
    if not isinstance(name, str) or not isinstance(version, str):
        raise CompileError([error("CR203", "name and cniVersion are strings", path=path)])
    alone = "type" in loaded and not path.endswith(".conflist")
    plugins = [loaded] if alone else loaded.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        raise CompileError([error("CR214", "plugins is a list of at least one plugin", path=path)])
    for number, plugin in enumerate(plugins, 1):
        if not _is_program(plugin.get("type") if isinstance(plugin, dict) else None):
            raise CompileError([error("CR206", f"the type of plugin {number} is no program's name", path=path)])
    listed = [] if alone else loaded.get("cniVersions") or []
    if not isinstance(listed, list) or not all(isinstance(v, str) and is_version(v) for v in listed):
        raise CompileError([error("CR203", "cniVersions is a list of versions", path=path)])
    return Chain(
        name,
        chosen(version, listed),
        tuple({k: v for k, v in p.items() if k not in ("name", "cniVersion")} for p in plugins),
        version or SUPPORTED_VERSIONS[0],
    )


def _is_program(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name and name.isprintable()
