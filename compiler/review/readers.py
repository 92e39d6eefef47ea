"""The confs of a workspace in, what runtimes that are in use would refuse of them, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import Diagnostic, warning

_SINCE = (1, 1)
"""The first version that podman 4, containerd 1 and Debian 12's plugins don't speak."""


def refused_by_runtimes(confs: Iterable[NetConf], paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """A cniVersion that is newer than the runtimes of Debian 12: they run the ADD, and then refuse its result."""
    for conf in confs:
        numbers = conf.cni_version.split(".")
        if all(n.isdecimal() for n in numbers) and tuple(map(int, numbers)) >= _SINCE:
            message = f"cniVersion {conf.cni_version} is refused by podman 4, containerd 1 and Debian 12's portmap"
            hint = "write 1.0.0, or accept this where CRI-O or containerd 2 alone read it"
            yield warning("CR224", message, path=paths.get(conf.name, ""), hint=hint)
