"""A Request or a record in, an endpoint detached out: DEL, and an ADD that is taken back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from calico_rkt.plugin.attach import ipam_plugin
from calico_rkt.plugin.attach.life import Life, is_from_elsewhere, leads_there, life_of
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.cni.result import given_in, has_table, is_whole
from calico_rkt.plugin.enforce.enforcer import enforcer_of
from calico_rkt.plugin.enforce.local import restore_policy
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.link.netns import by_descriptor, run_in
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process import trace
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.process.unexpected import as_cni_error
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.local import LocalStore, own_stores
from calico_rkt.plugin.store.protocol import DamagedRecordError, Store


def key_of(request: Request) -> Key:
    return Key(request.conf.name, request.container, request.ifname)


def cmd_del(request: Request, store: Store) -> None:
    """Detach: link, policy, conntrack, record. Never-added, repeated, or a netns that is gone are all fine.

    Goes on past an error and raises the first at the end; the record stays then, so that GC finishes it.
    """
    key = key_of(request)
    try:
        known = store.endpoint(key)
    except DamagedRecordError as e:
        discard(key, store, e)
        give_back(request, None)
        return
    if known is not None and _is_stale(known, request):
        LOG.warning("DEL %s %s %s: of an older netns %s, the newer attachment stays", *words(key), request.netns)
        return
    if known is not None:
        detach(request, known, store, _way(request))
    else:
        pair.delete_unrecorded(key, store.link_prefix)
        store.forget(key)
        _free_elsewhere(request, store)
        _give_back_unrecorded(request, store)
    LOG.info("DEL %s %s %s%s", *words(key), "" if known else ": was not attached")


def detach(request: Request, known: Endpoint, store: Store, netns: str = "") -> None:
    """A recorded endpoint goes as tear_down() has it, and what its ipam plugin gave is given back."""
    with _giving_back(request, known, store):
        tear_down(known, store, netns)


@contextmanager
def _giving_back(request: Request, known: Endpoint, store: Store) -> Iterator[None]:
    """Behind what takes the record away, its addresses are given back; `gc` knows of them until they are."""
    lends = '"ipam"' in known.result
    if lends:
        from calico_rkt.plugin.attach import lent  # most DELs are of addresses that we gave ourselves

        lent.note_recorded(store.run_dir, known)
    yield
    give_back(request, known)
    if lends:
        lent.drop(store.run_dir, known.key)
    elif ipam_plugin.is_delegated(request.conf):
        _drop_note(request, store)


def _give_back_unrecorded(request: Request, store: Store) -> None:
    """What an ADD that was cut short may have been given.

    Of a plugin that is not there nobody can ask more today or tomorrow, so the DEL ends well (CNI: it should generally
    complete without error though resources are missing). What was noted is not lost: `gc` has it.
    """
    from calico_rkt.plugin.attach import lent

    lent.note_ended(store.run_dir, key_of(request))
    try:
        give_back(request, None)
        _drop_note(request, store)
    except ipam_plugin.MissingError as e:
        noted = lent.is_noted(store.run_dir, key_of(request))
        waits = "what it gave waits for calico-rkt gc" if noted else "nothing is known that it gave since the boot"
        LOG.warning("DEL %s %s %s: %d %s: %s", *words(key_of(request)), e.code, e.msg, waits)


def _drop_note(request: Request, store: Store) -> None:
    """Of an ADD that was cut short: the conf's own ipam plugin has had its DEL. One of another conf has it now."""
    from calico_rkt.plugin.attach import lent

    if ipam_plugin.is_delegated(request.conf) and lent.is_none_but_of(store.run_dir, key_of(request), request):
        lent.drop(store.run_dir, key_of(request))
    else:
        lent.give_back(store.run_dir, key_of(request))


def discard(key: Key, store: Store, why: CniError) -> None:
    """Take away an attachment whose record can't be read: the pair by its name, and the rest by building all anew."""
    LOG.warning("%s; what can be told of it is taken away", why.msg)
    pair.delete_unrecorded(key, store.link_prefix)
    store.discard(key)
    if isinstance(store, LocalStore):
        with policy_lock(store.run_dir):
            restore_policy(store)


def _free_elsewhere(request: Request, store: Store) -> None:
    """What another datastore's record on this host has of it: the conf may have moved to this one since the ADD."""
    key = key_of(request)
    for datastore, opened in own_stores().items():
        records = opened()
        try:
            found = records.endpoint(key) if datastore != store.datastore and records.is_there() else None
        except CniError as e:  # no fault of this conf's datastore
            LOG.error("DEL %s %s %s: %s: %s", *words(key), e.msg, e.details)
            continue
        if found is None or _is_stale(found, request):
            continue
        if datastore == "local":
            detach(request, found, records, _way(request))
        else:
            _leave_cluster(request, found, records, datastore)


def _leave_cluster(request: Request, found: Endpoint, records: LocalStore, datastore: str) -> None:
    """The pair goes, and what the cluster has of it is noted: a conf that names the cluster has to come by."""
    from calico_rkt.plugin.store.journal import Journal, release_of

    _remove_link(found, _way(request), lambda: pair.forget_flows(found.addresses))
    pair.forget_flows(found.addresses)
    if found.members:
        with _giving_back(request, found, records):
            Journal(folders()[1] / "journal").write(release_of(found, datastore, "its conf names no cluster now"))
            records.remove(found.key, found.nonce)
    LOG.warning(
        "DEL %s %s %s: it was attached by a conf that names a cluster; calico-rkt gc with such a conf frees "
        "its address there",
        *words(found.key),
    )


def give_back(request: Request, known: Endpoint | None) -> None:
    """Have the ipam plugin that gave the addresses take them back: the record knows it, else the conf has to."""
    if known is None or not is_whole(known.result):
        if ipam_plugin.is_delegated(request.conf):
            ipam_plugin.ipam_del(request)
        return
    given = given_in(known.result)
    if given is not None:
        ipam_plugin.ipam_del(request, given)


def _way(request: Request) -> str:
    """A path that leads to the namespace that a DEL names, where it can be looked at at all."""
    return by_descriptor(request.netns_fd) if request.netns_fd >= 0 else request.netns


def _is_stale(known: Endpoint, request: Request) -> bool:
    """Whether a DEL is about an older netns of the same container id while the recorded one still lives."""
    netns = request.netns
    if not netns or netns == known.netns or leads_there(_way(request), known):
        return False
    try:
        if os.path.realpath(netns) == os.path.realpath(known.netns):
            return False
    except FileNotFoundError:
        return False  # relative, from a folder that is gone: it names nothing, as an empty one does
    except OSError:
        pass  # a link of /proc that is not for us to read
    return life_of(known) is not Life.OVER


def take_back(key: Key, nonce: str, store: Store) -> None:
    """Undo what an ADD with this nonce left when it ended half way; any other attachment of the key stays."""
    known = store.endpoint(key)
    if known is not None and known.nonce == nonce:
        tear_down(known, store)
    elif known is None:
        pair.delete_pair(pair.host_ifname(key, store.link_prefix), nonce)


def tear_down(endpoint: Endpoint, store: Store, netns: str = "") -> None:
    """Every step of a DEL for a recorded endpoint; the record and its address go last, and only when all is gone.

    netns: another path that may lead to the container's namespace.
    """
    failed: list[CniError] = []
    enforcer = enforcer_of(store)

    def at_home() -> None:
        enforcer.detach(endpoint)
        enforcer.forget_flows(endpoint)

    with enforcer.guard():
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("link", lambda: _remove_link(endpoint, netns, at_home)),
            ("policy", lambda: enforcer.detach(endpoint)),
            ("flows", lambda: enforcer.forget_flows(endpoint)),
        )
        for name, step in steps:
            try:
                step()
            except Exception as e:  # noqa: BLE001 - the steps behind it are done all the same
                failed.append(as_cni_error(e))
                LOG.error("DEL %s %s %s: %s: %s", *words(endpoint.key), failed[-1].msg, failed[-1].details)
            trace.mark(name)
        if failed:
            raise failed[0]
        store.remove(endpoint.key, endpoint.nonce)
        trace.mark("record")


def _remove_link(endpoint: Endpoint, other_path: str, at_home: Callable[[], object]) -> None:
    """The pair, also where somebody renamed the host end or moved it away, and the rules that lead to its table.

    at_home: what else is to be done in the network namespace that the host end was made in, where that is not ours.
    """
    gone = pair.delete_pair(endpoint.host_ifname, endpoint.nonce)
    away = not gone and is_from_elsewhere(endpoint)
    if away:
        gone = _removed_at_home(endpoint, at_home)
    if gone and not has_table(endpoint.result):
        return
    path = next((p for p in (endpoint.netns, other_path) if p and leads_there(p, endpoint)), "")
    if not path and away and not gone:
        path = _way_into((endpoint.netns_dev, endpoint.netns_inode))
    if not path:
        return
    with pair.open_netns(path) as netns:
        if not gone:
            pair.delete_inside(netns, endpoint.key.ifname, endpoint.mac)
        if has_table(endpoint.result):
            pair.tidy_netns(netns, endpoint.addresses)


def _removed_at_home(endpoint: Endpoint, at_home: Callable[[], object]) -> bool:
    """Whether the pair was there. A namespace that nothing in /proc keeps is gone, and its links with it."""
    way = _way_into(endpoint.home)
    if not way:
        message = "%s %s %s was attached from another network namespace, which nothing here keeps any more"
        LOG.info(message, *words(endpoint.key))
        return False
    with pair.open_netns(way) as home:
        if (home.dev, home.inode) != endpoint.home:
            raise CniError(Code.TRY_AGAIN, f"{way} has led to the network namespace that this was attached from")

        def act() -> bool:
            gone = pair.delete_pair(endpoint.host_ifname, endpoint.nonce)
            at_home()
            return gone

        return run_in(home, act)


def _way_into(namespace: tuple[int, int]) -> str:
    from calico_rkt.plugin.link.ways_into import way_into  # looks through /proc: nothing for most calls

    return way_into(namespace)


def ask_delegate(request: Request, verb: Callable[[Request], None]) -> None:
    """Pass a verb of CNI 1.1.0 on; an ipam plugin older than the verb refuses it, which is fine.

    It says code 4; CNI's own plugins before 1.5, which ask each verb for a container, say 3. Those refuse an ADD, too.
    """
    if not ipam_plugin.is_delegated(request.conf):
        return
    try:
        verb(request)
    except CniError as e:
        if e.code == Code.UNKNOWN_CONTAINER and request.command == "STATUS":
            kind, version = request.conf.ipam.type, request.conf.cni_version
            raise CniError(
                Code.INCOMPATIBLE_VERSION,
                f"ipam plugin {kind!r} is older than CNI {version}, and refuses its ADD",
                "install a newer one, or write cniVersion 1.0.0",
            ) from e
        if e.code not in (Code.INVALID_ENVIRONMENT, Code.UNKNOWN_CONTAINER):
            raise
        LOG.info("ipam plugin %s does not know %s", request.conf.ipam.type, request.command)


def words(key: Key) -> tuple[str, str, str]:
    return key.network, key.container, key.ifname
