"""A prefix in, the table of all that is installed out: each part a file of this program's or a link to it.

A new part is a line of PARTS; a new group of parts, which somebody may want or not, is one of GROUPS, too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PLUGIN = "/usr/lib/cni/calico"
"""Where the one file stands; everything else is a link to it or a file beside it."""
PREFIX = "/usr/local"
UNITS = ("calico-rkt-agent.socket", "calico-rkt-restore.service", "calico-rkt-attest.timer")
"""The units that are enabled; the agent's service is started by its socket, the proof's by its timer."""


@dataclass(frozen=True)
class Part:
    """One path of the host. `{prefix}` and the other words of `_folders` stand for folders."""

    group: str
    path: str
    words: str
    """What it is for, as people read it."""
    source: str = ""
    """A name in the share/ of this program's file; none where the part is the program, or a link to it."""
    link: bool = False
    """A symbolic link to PLUGIN."""
    owned_by_people: bool = False
    """A file that people edit: what they wrote stays, at an update and at the end."""


@dataclass(frozen=True)
class Group:
    """Parts that go together."""

    words: str
    missing: Callable[[], str]
    """Why this host has no use for it, or nothing; with --root, and where the group is asked for, it is not asked."""


def _needs(program: str, *folders: str) -> Callable[[], str]:
    def missing() -> str:
        there = shutil.which(program) or any(Path(folder).is_dir() for folder in folders)
        return "" if there else f"no {program} here"

    return missing


def _always() -> str:
    return ""


GROUPS = {
    "plugin": Group("the plugin", _always),
    "opt": Group("the plugin in /opt/cni/bin", _always),
    "rkt": Group("the plugin for rkt", _needs("rkt", "/usr/lib/rkt")),
    "netavark": Group("the driver for podman 5 and later", _needs("podman", "/usr/lib/podman")),
    "commands": Group("commands on PATH", _always),
    "units": Group("systemd units", _needs("systemctl")),
    "tmpfiles": Group("folders at boot", _needs("systemd-tmpfiles")),
    "logrotate": Group("rotation of the log", _needs("logrotate", "/etc/logrotate.d")),
    "bash": Group("bash completion", _needs("bash", "/usr/share/bash-completion")),
    "zsh": Group("zsh completion", _needs("zsh")),
    "man": Group("manual pages", _needs("man")),
    "schema": Group("JSON Schema of overrides", _always),
    "overrides": Group("the folder of overrides", _always),
}

PARTS = (
    Part("plugin", PLUGIN, "the plugin, where Debian's runtimes look"),
    Part("opt", "/opt/cni/bin/calico", "where other runtimes look", link=True),
    Part("rkt", "/usr/lib/rkt/plugins/net/calico", "where rkt looks", link=True),
    Part("netavark", "/usr/lib/netavark/calico", "where podman 5 and later look", link=True),
    Part("commands", "{prefix}/bin/calico-rkt", "the commands for people", link=True),
    Part("commands", "{prefix}/bin/compile-profile", "the compiler alone", link=True),
    Part("units", "{units}/calico-rkt-agent.socket", "the agent's socket", "calico-rkt-agent.socket"),
    Part("units", "{units}/calico-rkt-agent.service", "the warm agent", "calico-rkt-agent.service"),
    Part(
        "units", "{units}/calico-rkt-restore.service", "policy after a firewall's reload", "calico-rkt-restore.service"
    ),
    Part("units", "{units}/calico-rkt-attest.timer", "a proof every hour", "calico-rkt-attest.timer"),
    Part("units", "{units}/calico-rkt-attest.service", "proves what is enforced", "calico-rkt-attest.service"),
    Part("tmpfiles", "{tmpfiles}/calico-rkt.conf", "its folders, after a boot", "tmpfiles.conf"),
    Part("logrotate", "/etc/logrotate.d/calico-rkt", "rotates its log", "logrotate", owned_by_people=True),
    Part("bash", "{share}/bash-completion/completions/calico-rkt", "completion", "calico-rkt.bash"),
    Part("bash", "{share}/bash-completion/completions/compile-profile", "completion", "compile-profile.bash"),
    Part("zsh", "{zsh}/_calico-rkt", "completion", "calico-rkt.zsh"),
    Part("zsh", "{zsh}/_compile-profile", "completion", "compile-profile.zsh"),
    Part("man", "{share}/man/man1/calico-rkt.1", "man calico-rkt", "calico-rkt.1"),
    Part("man", "{share}/man/man1/compile-profile.1", "man compile-profile", "compile-profile.1"),
    Part("man", "{share}/man/man5/calico-rkt-overrides.5", "man calico-rkt-overrides", "calico-rkt-overrides.5"),
    Part("man", "{share}/man/man8/calico-rkt-agent.8", "man calico-rkt-agent", "calico-rkt-agent.8"),
    Part("schema", "{share}/calico-rkt/overrides.schema.json", "for editors of overrides", "overrides.schema.json"),
    Part("overrides", "/etc/calico-rkt/profiles/README", "where overrides go", "README.profiles", owned_by_people=True),
)


def parts(prefix: str) -> Iterator[Part]:
    """The table with its folders filled in. prefix: an absolute path; below /usr the folders are a package's."""
    folders = _folders(prefix.rstrip("/"))
    for part in PARTS:
        yield Part(**{**part.__dict__, "path": part.path.format(**folders)})


def _folders(prefix: str) -> dict[str, str]:
    packaged = prefix == "/usr"
    return {
        "prefix": prefix,
        "share": f"{prefix}/share",
        "units": "/lib/systemd/system" if packaged else "/etc/systemd/system",
        "tmpfiles": "/usr/lib/tmpfiles.d" if packaged else "/etc/tmpfiles.d",
        "zsh": f"{prefix}/share/zsh/{'vendor-completions' if packaged else 'site-functions'}",
    }


def at(root: str, path: str) -> Path:
    """A path of the host that root is, or becomes."""
    return Path(os.path.join(root, path.lstrip("/")) if root else path)  # noqa: PTH118 - a Path drops what is before /
