"""The plugins of a network and a namespace in, each run as libcni would, the last one's result out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import calico_rkt
from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.compiler.conf.shape import TYPE
from calico_rkt.plugin.cni import program
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.runtime.wishes import capabilities_of

FOLDERS = (
    "/usr/lib/cni",
    "/opt/cni/bin",
    "/usr/local/libexec/cni",
    "/usr/libexec/cni",
    "/usr/local/lib/cni",
    "/usr/lib/rkt/plugins/net",
)
"""Where plugins are looked for when CNI_PATH names no folder: Debian's, CNI's own, and what podman and rkt add."""
_OURS_TO_END = 60.0
"""Seconds that our own plugin has once it is asked to end: what it takes back may have to wait for others."""


class HalfDoneError(CniError):
    """An ADD failed, and not all that had begun could be taken back: a DEL may finish that later."""


@dataclass(frozen=True, slots=True)
class Call:
    """What all plugins of a chain are told. netns may be empty at a DEL; capabilities are what people asked for."""

    key: Key
    netns: str
    folders: tuple[str, ...]
    capabilities: Mapping[str, Any]


def folders_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The folders of plugins, absolute: CNI_PATH's, else FOLDERS."""
    named = tuple(program.absolute(f) for f in environ.get("CNI_PATH", "").split(":") if f)
    return named or FOLDERS


def refuse_missing(chain: Chain, folders: tuple[str, ...]) -> None:
    """CniError 108 where a plugin of the chain is in no folder: better known before the first of them is run."""
    for plugin in chain.plugins:
        if plugin["type"] != TYPE and program.find(plugin["type"], folders) is None:
            raise CniError(
                Code.DELEGATE,
                f"the plugin {plugin['type']!r} of network {chain.name!r} is in no folder of plugins",
                f"looked in {', '.join(folders)}; CNI_PATH names others",
            )


def add(chain: Chain, call: Call) -> dict[str, Any]:
    """The ADD of each plugin, which gets what the one before said; the last one's result.

    CniError of the plugin that failed, or 11 where we were asked to end. What had begun is taken back then;
    HalfDoneError where that failed, too.
    """
    result: dict[str, Any] | None = None
    for number, plugin in enumerate(chain.plugins):
        try:
            said = _run("ADD", chain, plugin, call, result)
            result = dict(program.loaded(said))
            if not result:
                raise CniError(Code.DELEGATE, f"plugin {plugin['type']!r} gave no CNI result", program.shown(said))
            signals.stop_if_asked()
        except CniError as e:
            # Ours leaves nothing where it fails itself; where it was ended, its ADD may be done all the same.
            first = int(not result and not isinstance(e, program.EndedError))
            begun = replace(chain, plugins=chain.plugins[first : number + 1])
            try:
                with signals.undoing():
                    delete(begun, call, result)
            except CniError as more:
                raise HalfDoneError(e.code, e.msg, f"{e.details}\nnot all was taken back: {more.msg}".strip()) from e
            raise
    return result or {}


def delete(chain: Chain, call: Call, result: Mapping[str, Any] | None) -> None:
    """The DEL of each plugin, last first, whatever fails on the way; the first CniError at the end.

    result is that of the ADD, None where that never ended.
    """
    failed: list[CniError] = []
    for plugin in reversed(chain.plugins):
        try:
            _run("DEL", chain, plugin, call, result)
        except CniError as e:
            failed.append(e)
    if failed:
        raise failed[0]


def _run(command: str, chain: Chain, plugin: Mapping[str, Any], call: Call, result: Mapping[str, Any] | None) -> bytes:
    asked = capabilities_of(plugin, call.capabilities)
    told = {
        **plugin,
        "name": chain.name,
        "cniVersion": chain.cni_version,
        **({"runtimeConfig": asked} if asked else {}),
        **({"prevResult": result} if result else {}),
    }
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CNI_")}
    environ |= {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": call.key.container,
        "CNI_NETNS": call.netns,
        "CNI_IFNAME": call.key.ifname,
        "CNI_PATH": ":".join(call.folders),
    }
    argv, handed = ours() if plugin["type"] == TYPE else _other(plugin["type"], call.folders)
    who = f"plugin {plugin['type']!r}"
    to_end = _OURS_TO_END if plugin["type"] == TYPE else 0
    try:
        return program.run(who, argv, environ, json.dumps(told).encode(), handed=handed, to_end=to_end)
    except CniError as e:
        if plugin["type"] == TYPE:  # nobody asks which plugin of his own program it was
            e.msg = e.msg.removeprefix(f"{who}: ")
        raise


def ours() -> tuple[list[str], tuple[int, ...]]:
    """How this very program is started as a plugin, and the descriptors that it needs for that.

    The launcher asks the agent, which serves its own build only, whatever lies in the folders of plugins.
    """
    if calico_rkt.FILE >= 0:
        return [f"/proc/self/fd/{calico_rkt.FILE}"], (calico_rkt.FILE,)
    return [sys.executable, "-m", "calico_rkt"], ()


def _other(name: str, folders: tuple[str, ...]) -> tuple[list[str], tuple[int, ...]]:
    found = program.find(name, folders)
    if found is None:
        raise CniError(Code.DELEGATE, f"the plugin {name!r} is in no folder of plugins", ", ".join(folders))
    return [str(found)], ()
