"""A host's confs and one of their datastores in; the networks of the others, as they stand beside it, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.policy import policy_for
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.changes import Files
from calico_rkt.plugin.publish.datastores import DatastoreSide, clusters, opened_cluster, opened_local
from calico_rkt.plugin.publish.local import LOCAL

Beside = Mapping[str, tuple[NetConf, Network]]
"""Networks by name, each with its conf."""

NOBODY: Beside = {}


def beside(side: DatastoreSide, known: Mapping[str, NetConf], files: Files, coming: Collection[str]) -> Beside:
    """The networks of all confs (known, with files) whose datastore is another one than the side's.

    Those of coming are as their files say: their turn is still to come. The others are as they are published; where
    that can't be read, or where nothing is, the files count, if there are any.
    """
    others = {n: c for n, c in known.items() if n not in side.known}
    live = _published({n: c for n, c in others.items() if n not in coming})
    found: dict[str, tuple[NetConf, Network]] = {}
    for name, conf in others.items():
        network = live.get(object_id(name)) or (_as_the_files_say(conf, files[name]) if name in files else None)
        if network is not None:
            found[name] = conf, network
    return found


def _published(confs: Mapping[str, NetConf]) -> dict[str, Network]:
    """Of each the profile that is in force, by id, where it can be read."""
    found: dict[str, Network] = {}

    def read(side: DatastoreSide) -> None:
        for name in side.known:
            published = side.profiles.published(object_id(name))
            if published is not None:
                found[published.network_id] = verify_calico_v3(published.text)

    with suppress(CniError):  # here and below: its own turn says what ails it
        if any(c.datastore_type == LOCAL for c in confs.values()):
            with opened_local(confs) as local:
                read(local)
    for there in clusters(confs):
        with suppress(CniError), opened_cluster(there) as cluster:
            read(cluster)
    return found


def _as_the_files_say(conf: NetConf, files: tuple[File, ...]) -> Network | None:
    try:
        return resolve_network(conf, policy_for(conf.name, files), felix=JUDGED)[0]
    except CompileError:
        return None  # likewise
