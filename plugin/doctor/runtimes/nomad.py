"""Nomad's files in, what its client reads out: HCL and JSON are looked at as text, for two keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from calico_rkt.plugin.doctor.finding import Place
from calico_rkt.plugin.doctor.runtimes.reader import Folder, Runtime, Wrong, installed, line_of

_FOLDER = "/etc/nomad.d"
_CONFS, _PLUGINS = "/opt/cni/config", "/opt/cni/bin"


def reads() -> Iterator[Runtime | Wrong]:
    """Nomad, where it is installed."""
    if not installed("nomad"):
        return
    confs, plugins = Folder(_CONFS), Folder(_PLUGINS)
    for path in sorted(Path(_FOLDER).glob("*")):
        if path.suffix in (".hcl", ".json"):
            with suppress(OSError, ValueError):
                text = path.read_text("utf-8")
                confs = _named(text, str(path), "cni_config_dir") or confs
                plugins = _named(text, str(path), "cni_path") or plugins
    yield Runtime("nomad", (confs,), tuple(Folder(p, plugins.said) for p in plugins.path.split(":") if p))


def _named(text: str, path: str, key: str) -> Folder | None:
    pattern = rf'"?{key}"?\s*[=:]\s*"([^"]+)"'
    found = re.search(rf"^\s*(?:[^#\n]*[{{,]\s*)?{pattern}", text, re.MULTILINE)
    return Folder(found[1], Place(path, line_of(text, rf"[^#]*{pattern}"))) if found else None
