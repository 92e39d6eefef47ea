"""News of the ruleset in; a host that is open closed at once, and its table built anew as soon as that can be, out."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

from calico_rkt.plugin.enforce.local import Restored, finish_apply, restore_policy
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.table import Standing
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore, open_local

_FIRST, _LONGEST = 0.2, 10.0
"""Seconds between attempts to restore: the first, and what they double up to."""
_QUIET, _LATEST, _PERIOD = 5.0, 60.0, 300.0
"""Seconds without news before the whole table is compared, after which that is done though news come on and on, and
after which it is done though nothing was heard."""
_SHARE = 20
"""A comparison takes at most one of so many seconds."""


class Mender:
    """Closes in whatever thread hears the news; restores in one of its own, which may wait for locks and files.

    restored: called after each restore. compare: called once it is quiet after news, and now and then; it restores
    what a look at the base does not see, and says whether it did.
    """

    def __init__(self, restored: Callable[[], None], compare: Callable[[], bool]) -> None:
        self._restored, self._compare = restored, compare
        self._wanted = threading.Event()
        self._failed = self._rebuilt = False
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="mend", daemon=True)

    def start(self) -> None:
        """Look once, so that whoever starts the agent finds the table whole if that can be; then go on by oneself.

        A table that was built anew comes of a boot or of an update: host ends are compared right away too.
        """
        self._try()
        self._thread.start()

    def heard(self) -> None:
        """Something of the ruleset may have gone: close now, wake who restores."""
        try:
            table.close_first()
        finally:
            self._wanted.set()

    def look(self) -> bool:
        """Restore if that is needed, in this thread; False where it is needed and can't be."""
        return self._try()

    def _work(self) -> None:
        pause, may_compare_at = _FIRST, 0.0
        compare_in, first_news = 0.0 if self._rebuilt else _QUIET, 0.0
        while True:
            self._wanted.wait(pause if self._failed else compare_in)
            news = self._wanted.is_set()
            self._wanted.clear()
            if not self._try():
                pause = min(pause * 2, _LONGEST)
                continue
            pause, began = _FIRST, time.monotonic()
            first_news = first_news or began
            if began < may_compare_at or (news and began < first_news + _LATEST):
                compare_in = max(_QUIET, may_compare_at - began)
                continue
            self._look_at_all()
            now = time.monotonic()
            may_compare_at = now + (now - began) * _SHARE
            compare_in, first_news = _PERIOD, 0.0

    def _look_at_all(self) -> None:
        """Compare, in a thread for it: what is heard meanwhile is looked at at once, and compared when it is quiet."""
        over, heard = threading.Event(), False

        def compare() -> None:
            try:
                if self._compare():
                    self._restored()
            except Exception:  # noqa: BLE001 - the next look has to come
                LOG.exception("while the nftables table was compared with what is published")
            finally:
                over.set()

        try:
            threading.Thread(target=compare, name="compare", daemon=True).start()
        except RuntimeError:  # no thread can be had: what is heard waits for the comparison
            compare()
        while not over.is_set():
            if self._wanted.wait(_FIRST):
                self._wanted.clear()
                heard = True
                self._try()
        if heard:
            self._wanted.set()

    def _try(self) -> bool:
        try:
            with self._turn:
                if mend_table():
                    self._rebuilt = True
                    self._restored()
        except Exception as e:  # noqa: BLE001 - whatever it is, the next attempt has to come
            words = f"{e.msg}: {e.details}" if isinstance(e, CniError) else repr(e)
            LOG.error("the nftables table is not whole and can not be restored yet: %s", words)
            self._failed = True
            return False
        self._failed = False
        return True


def mend_table() -> bool:
    """Close the host where it is open, restore what is gone; whether that was needed.

    An apply that was cut short comes first: its profiles are what is in force.
    """
    found = table.close_first()
    if found is Standing.NEWER:
        return False
    store = open_local()
    try:
        if not store.is_there():
            if found is Standing.CLOSED:
                raise CniError(Code.IO, "the host is closed, and nothing on it tells who its endpoints are")
            return False
        if found is Standing.NONE or (
            not store.is_staged() and _is_whole(store)
        ):  # most news are no loss, and must not hold calls up
            return False
        with policy_lock(store.run_dir, meanwhile=table.close_first):
            finish_apply(store)
            if _is_whole(store):
                return False
            done = restore_policy(store)
        LOG.warning("the nftables table was %s: built anew for %d endpoints%s", found.value, done.endpoints, _cut(done))
        ctypes.CDLL(None).malloc_trim(0)  # the script of a thousand networks and what libnftables made of it
        return True
    finally:
        store.close()


def _is_whole(store: LocalStore) -> bool:
    if table.standing() is not Standing.WHOLE:
        return False
    return all(map(table.chains_present, store.attached_ids()))  # a first ADD under way builds its network itself


def _cut(done: Restored) -> str:
    names = ", ".join(c.network for c in done.closed)
    return f"; {done.cut_off} of them stay closed, since the profile is missing or unfit: {names}" if names else ""
