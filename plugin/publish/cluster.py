"""A cluster's confs and its profiles in Calico in; what would change, and the reviewed change itself, out.

The counterpart of lifecycle for clusters: profiles of stock Calico and of other people live beside ours there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.targets.calico_v3.read import verify
from calico_rkt.compiler.targets.felix import Nodes, unfit
from calico_rkt.plugin.enforce.local import compile_published
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.local import NONE, Change, ChangedMeanwhileError, Files, State
from calico_rkt.plugin.store.access import UnreachableError
from calico_rkt.plugin.store.clustered import ClusterStore


def plan(
    store: ClusterStore, known: dict[str, NetConf], wanted: Collection[str] = (), files: Files = NONE
) -> tuple[Change, ...]:
    """What apply would publish: every network with a conf here whose compiled digest is not the published one."""
    store.complete()
    changes = []
    felix = store.felix()
    for name in sorted(wanted or known):
        new = compile_published(known[name], files=files.get(name), felix=felix)
        try:
            old = store.profiles.published(new.network_id)
        except CniError:
            text, revision = store.profiles.stored(new.network_id)
            changes.append(Change(new, None, edited=True, live=text, revision=revision))
            continue
        if old is None or old.digest != new.digest:
            changes.append(Change(new, old, revision=old.revision if old else 0))
    return tuple(changes)


def apply(store: ClusterStore, changes: Sequence[Change]) -> None:
    """Publish all changes; ChangedMeanwhileError when one of the profiles is not as it was shown."""
    if not store.profiles.swap([(c.new, c.revision) for c in changes]):
        raise ChangedMeanwhileError(", ".join(c.new.network for c in changes))


def states(store: ClusterStore, known: dict[str, NetConf], files: Files = NONE) -> tuple[State, ...]:
    """Every network that has a conf here, and every profile of ours in the cluster; endpoints of all nodes count."""
    counts = store.profiles.endpoint_counts()
    names = {object_id(n): n for n in known}
    felix = store.felix()
    ids = sorted({*names, *store.profiles.published_ids()})
    return tuple(_state(store, i, names.get(i, ""), known, counts.get(i, 0), files, felix) for i in ids)


def _state(
    store: ClusterStore,
    network_id: str,
    name: str,
    known: dict[str, NetConf],
    endpoints: int,
    files: Files,
    felix: Nodes | None,
) -> State:
    try:
        published = store.profiles.published(network_id)
    except CniError as e:
        state = "edited" if network_id in store.profiles.published_ids() else "not ours"
        return State(network_id, name, state, endpoints, None, e.msg)
    name = published.network if published is not None else name
    if name not in known:
        return State(network_id, name, "no conf" if published else "not published", endpoints, None)
    try:
        new = compile_published(known[name], files=files.get(name), felix=felix)
    except CniError as e:
        return State(network_id, name, "unusable", endpoints, None, e.msg)
    state = "not published" if published is None else "in step" if new.digest == published.digest else "stale"
    return State(network_id, name, state, endpoints, None)


def prune(store: ClusterStore, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
    """Delete profiles of ours that no endpoint of the cluster is under; their ids, and what failed."""
    gone, failed = [], []
    for network_id in store.profiles.published_ids():
        try:
            if store.profiles.delete_unused(network_id, dry_run=dry_run):
                gone.append(network_id)
        except UnreachableError:
            raise
        except CniError as e:
            failed.append(e)
    return tuple(gone), tuple(failed)


def warnings(store: ClusterStore, known: dict[str, NetConf], files: Files = NONE) -> tuple[str, ...]:
    """What of the cluster is not as the confs would have it, and stays as it is; each in words."""
    ours = store.warnings([known[name] for name in sorted(known)])
    return (*ours, *_stopping(store, known, files))


def _stopping(store: ClusterStore, known: dict[str, NetConf], files: Files) -> Iterator[str]:
    """Which published profiles would stop some node's Felix; not those that the host's files would publish again."""
    suspects = store.suspects()
    felix = store.felix() if suspects else None
    if felix is None:
        return
    names = {object_id(n): n for n in known}
    for network_id in suspects:
        try:
            published = store.profiles.published(network_id)
            problem = next(unfit(verify(published.text), felix), None) if published else None
        except CniError:
            continue  # its state says so
        if problem is None:
            continue
        try:
            name = names[network_id]
            compile_published(known[name], files=files.get(name), felix=felix)
        except (KeyError, CniError):
            yield f"profile {network_id}: {problem.message}"
