"""What a datastore has recorded in, endpoints whose containers are gone freed, and the rest named, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.attach import ipam_plugin, lent
from calico_rkt.plugin.attach.delete import ask_delegate, discard, tear_down, words
from calico_rkt.plugin.attach.life import Life, life_of, survey, traces
from calico_rkt.plugin.attach.patience import Patience
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.locks import attachment_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.process.unexpected import as_cni_error
from calico_rkt.plugin.store.protocol import DamagedRecordError, Remains, Store

_PATIENCE = 10.0
"""Seconds to wait for a call that works on the attachment."""
_AT_ONCE = 0.001
"""Seconds to wait for another attachment's lock while one is held: never two that wait for each other."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What `calico-rkt gc` did: freed (or would free), kept without a path that leads there, and what failed.

    returned: what was given back to another ipam plugin (or would be), and why in words.
    """

    freed: tuple[Endpoint, ...]
    kept: tuple[Endpoint, ...]
    failed: tuple[CniError, ...]
    returned: tuple[tuple[Key, str], ...] = ()


def cmd_gc(request: Request, store: Store) -> None:
    """Free what the runtime doesn't list, but only what the kernel proves dead: other runtimes may share a network.

    The ipam plugin hears of those as valid, too: their addresses are in use.
    """
    listed = set(request.attachments or ())
    others = [(e, life) for e, life in survey(store.endpoints(request.conf.name)) if _pair(e) not in listed]
    living = [e for e, life in others if life is not Life.OVER]
    failed: list[CniError] = []
    try:
        ask_delegate(request, lambda r: ipam_plugin.ipam_gc(r, sorted(listed | set(map(_pair, living)))))
    except CniError as e:
        failed.append(e)
    for endpoint in living:
        LOG.info("GC keeps %s %s %s, which is not listed: its network namespace lives", *words(endpoint.key))
    plugins = Patience()
    freed, more = _free((e for e, life in others if life is Life.OVER), store, plugins)
    for endpoint in freed:
        LOG.info("GC freed %s %s %s", *words(endpoint.key))
    _, still = _give_back_lent(store, plugins, request.conf.name)
    if failed or more or still:
        raise (*failed, *more, *still)[0]


def collect_garbage(store: Store, *, dry_run: bool) -> Collected:
    """`calico-rkt gc`: every endpoint of any network whose container is gone, torn down unless dry_run."""
    found = tuple(survey(store.endpoints()))
    over = tuple(e for e, life in found if life is Life.OVER)
    plugins = Patience()
    freed, failed = (over, ()) if dry_run else _free(over, store, plugins)
    kept = tuple(e for e, life in found if life in (Life.HIDDEN, Life.ELSEWHERE))
    returned, more = _give_back_lent(store, plugins, dry_run=dry_run)
    return Collected(freed, kept, (*failed, *more), returned)


def free_attachment(store: Store, key: Key, *, force: bool, dry_run: bool) -> Endpoint | None:
    """`calico-rkt gc --attachment`: free this one; what it was, or None where there is none.

    CniError 107 where its container lives, in sight or by a process, unless force says that it may lose its network.
    """
    found = next((e for e in store.endpoints(key.network) if e.key == key), None)
    if found is None:
        store.endpoint(key)  # one that is there and can't be read says so
        return None
    ((_, life),) = survey([found])
    if life is not Life.OVER and not force:
        _refuse_living(found, life)
    if not dry_run:
        with attachment_lock(store.run_dir, key, patience=_PATIENCE):
            now = store.endpoint(key)
            if now is None:
                pair.delete_unrecorded(key, store.link_prefix)
                store.forget(key)
            elif now.nonce != found.nonce:
                raise CniError(Code.TRY_AGAIN, f"{'/'.join(words(key))} was attached anew meanwhile; nothing was freed")
            else:
                _take_away(now, store, Patience())
    return found


def free_damaged(store: Store, key: Key, *, dry_run: bool) -> Remains:
    """Free an attachment whose record can't be read, as a DEL would; what could be told of it.

    CniError 107 where the kernel has something of it: nobody can tell then that its container is gone.
    """
    with attachment_lock(store.run_dir, key, patience=_PATIENCE):
        try:
            store.endpoint(key)
        except DamagedRecordError as e:
            left = store.remains(key)
            if lives := traces(key, left):
                raise CniError(
                    Code.ATTACHMENT_EXISTS,
                    f"{'/'.join(words(key))} may live: {lives}; nothing was freed",
                    "end its container, whose runtime's DEL takes it away, or run that",
                ) from e
            if not dry_run:
                discard(key, store, e)
            return left
    raise CniError(Code.TRY_AGAIN, f"{'/'.join(words(key))} was attached anew meanwhile; nothing was freed")


def _refuse_living(endpoint: Endpoint, life: Life) -> None:
    from calico_rkt.plugin.attach.holders import holders_of  # looks through /proc: nothing for an ADD

    holders = holders_of(endpoint)
    if life is Life.ELSEWHERE:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{'/'.join(words(endpoint.key))} was attached from another network namespace; nothing was freed",
            f"{holders}\nrun this there; --force forgets it here, which takes no link away",
        )
    if life is Life.NAMED or holders.inside:
        why = f"{endpoint.netns} leads to it" if life is Life.NAMED else "its processes run"
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{'/'.join(words(endpoint.key))} lives: {why}; nothing was freed",
            f"{holders}\nits runtime's DEL frees it; --force does it here, and the container has no network then",
        )


def make_room(store: Store, is_in_the_way: Callable[[Endpoint], bool]) -> tuple[Endpoint, ...]:
    """Free the endpoints in the way of an ADD whose containers are gone; those that were. Others' calls go first."""
    over = (e for e, life in survey(filter(is_in_the_way, store.endpoints())) if life is Life.OVER)
    freed, failed = _free(over, store, Patience(), patience=_AT_ONCE)
    for endpoint in freed:
        LOG.warning("freed %s %s %s for this ADD: its container is gone, and no DEL came", *words(endpoint.key))
    for e in failed:
        LOG.info("could not make room: %s: %s", e.msg, e.details)
    return freed


def _free(
    endpoints: Iterable[Endpoint], store: Store, plugins: Patience, *, patience: float = _PATIENCE
) -> tuple[tuple[Endpoint, ...], tuple[CniError, ...]]:
    freed, failed = [], []
    for endpoint in endpoints:
        try:
            if _tear_down_if_over(endpoint, store, plugins, patience):
                freed.append(endpoint)
        except Exception as e:  # noqa: BLE001 - the others are freed all the same
            failed.append(as_cni_error(e))
    return tuple(freed), tuple(failed)


def _tear_down_if_over(endpoint: Endpoint, store: Store, plugins: Patience, patience: float) -> bool:
    """Tear down an endpoint whose container is gone, unless somebody attached anew or detached meanwhile."""
    with attachment_lock(store.run_dir, endpoint.key, patience=patience):
        now = store.endpoint(endpoint.key)
        if now is None and life_of(endpoint) is Life.OVER:
            pair.delete_unrecorded(endpoint.key, store.link_prefix)
            return store.forget(endpoint.key)
        if now is None or now.nonce != endpoint.nonce or life_of(now) is not Life.OVER:
            return False
        _take_away(now, store, plugins)
        return True


def _give_back_lent(
    store: Store, plugins: Patience, network: str | None = None, *, dry_run: bool = False
) -> tuple[tuple[tuple[Key, str], ...], tuple[CniError, ...]]:
    """What another ipam plugin gave to ADDs that have no record: whose container is gone, or whose DEL came.

    What was set aside for a later ADD has none, whatever that one has. Of each the key and why, and what failed.
    """
    given, failed = [], []
    if not dry_run:
        lent.sweep(store.run_dir)
    for one in tuple(lent.noted(store.run_dir, network)):
        try:
            with attachment_lock(store.run_dir, one.key, patience=_PATIENCE):
                unused = one.aside or (store.endpoint(one.key) is None and (one.ended or one.is_over))
                if unused and (dry_run or lent.give_back_noted(one, plugins)):
                    given.append((one.key, one.words))
        except CniError as e:
            failed.append(e)
    return tuple(given), tuple(failed)


def _take_away(endpoint: Endpoint, store: Store, plugins: Patience) -> None:
    """As a DEL would. What an ipam plugin could not take back is noted, for the next gc; the rest is gone."""
    lent.note_recorded(store.run_dir, endpoint)
    tear_down(endpoint, store)
    try:
        ipam_plugin.delete_recorded(endpoint, plugins)
        if endpoint.result:
            lent.drop(store.run_dir, endpoint.key)
        else:
            lent.give_back(store.run_dir, endpoint.key, plugins)
    except CniError as e:
        LOG.warning("%s %s %s: its addresses may stay taken: %s: %s", *words(endpoint.key), e.msg, e.details)


def _pair(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.key.container, endpoint.key.ifname
