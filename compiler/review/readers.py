"""The confs of a workspace in, what this plugin or the runtimes in use would refuse of them, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS, NetConf
from calico_rkt.compiler.diagnostics import Diagnostic, error, warning

_SINCE = (1, 1)
"""The first version that podman 4, containerd 1 and Debian 12's plugins don't speak."""


def refused_versions(confs: Iterable[NetConf], paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """A cniVersion that this plugin does not speak, and one that is newer than the runtimes of Debian 12.

    These run the ADD, and then refuse its result.
    """
    for conf in confs:
        path, version = paths.get(conf.name, ""), conf.cni_version
        if version not in SUPPORTED_VERSIONS:
            message = f"cniVersion {version!r} is none that this plugin speaks: every ADD is refused"
            yield error("CR226", message, path=path, hint=f"one of {', '.join(SUPPORTED_VERSIONS)}")
        elif _is_new(version) and not _is_new(conf.cni_version_before):
            older = conf.cni_version_before
            message = (
                f"runtimes that read cniVersions take {version}, which Debian 12's portmap refuses; others {older}"
            )
            hint = "write cniVersion 1.0.0 alone, or accept this where CRI-O or containerd 2 alone read it"
            yield warning("CR224", message, path=path, hint=hint)
        elif _is_new(version):
            message = f"cniVersion {version} is refused by podman 4, containerd 1 and Debian 12's portmap"
            hint = "write 1.0.0, or accept this where CRI-O or containerd 2 alone read it"
            yield warning("CR224", message, path=path, hint=hint)


def _is_new(version: str) -> bool:
    return version in SUPPORTED_VERSIONS and tuple(map(int, version.split("."))) >= _SINCE
