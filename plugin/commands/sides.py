"""An action in, done on this host's own datastore and in every cluster that its confs name, out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.publish.changes import NONE, Files
from calico_rkt.plugin.publish.datastores import DatastoreSide, clusters, opened_cluster, opened_local, tried

Act = Callable[[DatastoreSide], int]
"""What is done to one datastore; its exit status."""


def here(act: Act, known: dict[str, NetConf], files: Files = NONE) -> int:
    """Do it on this host; known: its networks, by name."""
    with opened_local(known, files) as local:
        return act(local)


def in_clusters(act: Act, known: dict[str, NetConf], files: Files = NONE) -> int:
    """Do it in every cluster that a conf of known names; the worst exit status, also where one of them is away."""

    def do(there: dict[str, NetConf]) -> int:
        with opened_cluster(there, files) as cluster:
            return act(cluster)

    return max([tried(partial(do, there)) for there in clusters(known)], default=0)
