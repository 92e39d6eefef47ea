"""The host's files and what is published in; what would change, and the reviewed change itself, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.enforce import forget_flows, local
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.store.local import LocalStore

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File

Files = Mapping[str, "tuple[File, ...]"]
"""What the host's overrides say to each network, by its name; those whose confs can't be used are among them."""
NONE: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """One network; why says more.

    state is "in step", "stale", "edited", "not ours", "no conf", "not published" or "unusable".
    loaded: whether the kernel's chains carry the published digest; None when the network has no chains there.
    """

    network_id: str
    network: str
    state: str
    endpoints: int
    loaded: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A network whose files compile to something else than what is published; old is None when nothing is.

    edited: what is published was edited by hand, or is not ours; live is its text then, where it can be shown.
    revision: the datastore's count of the profile's changes, where it has one.
    """

    new: Published
    old: Published | None
    edited: bool = False
    live: str = ""
    revision: int = 0


class ChangedMeanwhileError(CniError):
    """A published profile of a cluster is not any more as it was shown."""

    def __init__(self, networks: str) -> None:
        super().__init__(Code.TRY_AGAIN, f"a published profile changed meanwhile, of {networks}")


def _known_ids(store: LocalStore, known: dict[str, NetConf], files: Files) -> frozenset[str]:
    return frozenset({*(object_id(n) for n in (*known, *files)), *store.published_ids()})


def plan(
    store: LocalStore, known: dict[str, NetConf], wanted: Collection[str] = (), files: Files = NONE
) -> tuple[Change, ...]:
    """What apply would publish: every network with a conf here whose compiled digest is not the published one.

    wanted: only these, where any are named; the others count as known to their rules all the same. files: what the
    host's overrides say, where they were read already.
    """
    changes = []
    ids = _known_ids(store, known, files)
    for name in sorted(wanted or known):
        new = local.compile_published(known[name], ids, files.get(name))
        edited = False
        old: Published | None = None
        try:
            old = store.published(new.network_id)
        except CniError:
            edited = True
        if edited or old is None or old.digest != new.digest:
            changes.append(Change(new, old, edited))
    return tuple(changes)


def apply(store: LocalStore, changes: Sequence[Change]) -> None:
    """Publish all changes at once: files beside, one nft transaction, rename. A half-done apply is completed later.

    What is published is in force: a host that is found open or closed is restored. A newer build's table is left alone.
    """
    _closed_first()
    ready = local.script(*(c.new for c in changes))  # what takes long comes before the lock
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        _refuse_changed(store, changes)
        store.stage({c.new.network_id: c.new.text for c in changes})
        try:
            if table.base_present():
                table.apply_scripts([ready, local.members_script(store, {c.new.network_id for c in changes})])
        except CniError:
            store.abort()  # nothing of it is in force, and nothing may complete it later
            raise
        store.commit()
    local.restore_closed(store)


def put_in_force(store: LocalStore) -> bool:
    """What is published is in force, also where nothing of it changes; whether a host that was open was restored."""
    _closed_first()
    return local.restore_closed(store)


def _closed_first() -> None:
    if table.close_first() is table.Standing.NEWER:
        raise table.NewerTableError


def _refuse_changed(store: LocalStore, changes: Sequence[Change]) -> None:
    """What was shown before the question has to be what is replaced after the answer."""
    for change in changes:
        try:
            now = store.published(change.new.network_id)
        except CniError:
            if change.edited:
                continue
            now = None
            changed = True
        else:
            changed = change.edited or now != change.old
        if changed:
            raise CniError(
                Code.TRY_AGAIN, f"the published profile of {change.new.network} changed meanwhile; run apply again"
            )


def finish_apply(store: LocalStore) -> None:
    """Complete an apply that was killed between its steps; nothing where there is none."""
    if store.unfinished():
        with policy_lock(store.run_dir, meanwhile=table.close_first):
            local.finish_apply(store)


def states(store: LocalStore, known: dict[str, NetConf], files: Files = NONE) -> tuple[State, ...]:
    """Every network that is published, has a conf here, or has endpoints."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {object_id(n): n for n in known}
    for endpoint in store.endpoints():
        network_id = object_id(endpoint.key.network)
        names.setdefault(network_id, endpoint.key.network)
        counts[network_id] = counts.get(network_id, 0) + 1
    live = {n.network_id: n.digest for n in table.live_networks()} if table.base_present() else {}
    known_ids = _known_ids(store, known, files)
    ids = sorted({*names, *store.published_ids()})
    return tuple(
        _state(store, i, names.get(i, ""), known, counts.get(i, 0), live.get(i), known_ids, files) for i in ids
    )


def _state(
    store: LocalStore,
    network_id: str,
    name: str,
    known: dict[str, NetConf],
    endpoints: int,
    live: str | None,
    known_ids: frozenset[str],
    files: Files,
) -> State:
    try:
        published = store.published(network_id)
    except CniError as e:
        return State(network_id, name, "edited", endpoints, None if live is None else False, e.msg)
    loaded = None if live is None or published is None else published.digest.endswith(live) and bool(live)
    name = published.network if published is not None else name
    if name not in known:
        return State(network_id, name, "no conf" if published else "not published", endpoints, loaded)
    try:
        new = local.compile_published(known[name], known_ids, files.get(name))
    except CniError as e:
        return State(network_id, name, "unusable", endpoints, loaded, e.msg)
    state = "not published" if published is None else "in step" if new.digest == published.digest else "stale"
    return State(network_id, name, state, endpoints, loaded)


def prune(store: LocalStore, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
    """Delete published profiles without endpoints; their ids, and what failed. Looks again before each."""
    gone, failed = [], []
    with policy_lock(store.run_dir):
        used = store.used_ids()
        for network_id in (i for i in store.published_ids() if i not in used):
            try:
                if dry_run or (network_id not in store.used_ids() and _deleted(store, network_id)):
                    gone.append(network_id)
            except CniError as e:
                failed.append(e)
        if not dry_run:
            kept = store.used_ids() | set(store.published_ids())
            forget_flows.drop(store, [n for n in store.unheld.networks() if object_id(n) not in kept])
    return tuple(gone), tuple(failed)


def _deleted(store: LocalStore, network_id: str) -> bool:
    """Whether the profile went; it stays where something in the kernel still refers to its chains."""
    if table.base_present() and not table.remove_network(network_id) and table.chains_present(network_id):
        return False
    return store.unpublish(network_id)
