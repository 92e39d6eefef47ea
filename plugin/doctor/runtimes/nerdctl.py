"""nerdctl's file in, what it reads out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calico_rkt.plugin.doctor.runtimes.reader import CNI, Folder, Runtime, Wrong, installed, read_toml

_CONF = "/etc/nerdctl/nerdctl.toml"
_PLUGINS = ("/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", "/opt/cni/bin")
"""It takes the first that is there, and looks into no other."""


def reads() -> Iterator[Runtime | Wrong]:
    """nerdctl, where it is installed."""
    if not installed("nerdctl"):
        return
    conf = read_toml(_CONF, "nerdctl")
    if conf.wrong:
        yield conf.wrong
        return
    confs, plugins = conf.text_at("cni_netconfpath"), conf.text_at("cni_path")
    first = next((p for p in _PLUGINS if Path(p).is_dir()), _PLUGINS[-1])
    yield Runtime(
        "nerdctl",
        (Folder(confs, conf.place("cni_netconfpath")) if confs else Folder(CNI),),
        (Folder(plugins, conf.place("cni_path")) if plugins else Folder(first),),
    )
