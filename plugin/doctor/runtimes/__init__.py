"""The configuration files of this host's runtimes in; which confs and plugins each of them reads, out.

The door is `runtimes_here`, here; reader.py has the values. A runtime is one file.
"""

from __future__ import annotations

from collections.abc import Iterator

from calico_rkt.plugin.doctor.runtimes import containerd, nerdctl, nomad, podman, rkt
from calico_rkt.plugin.doctor.runtimes.reader import Runtime, Wrong

_KNOWN = (podman.reads, containerd.reads, nerdctl.reads, nomad.reads, rkt.reads)


def runtimes_here() -> Iterator[Runtime | Wrong]:
    """Each runtime that is installed and calls CNI plugins, and configuration that can't be read."""
    for reads in _KNOWN:
        yield from reads()
