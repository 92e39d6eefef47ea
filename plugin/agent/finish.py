"""Confs of clusters that calls came with in, what was noted while etcd was away given back out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.calls.dispatch import open_store
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.publish.host_confs import confs_there
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal

_PAUSE, _LONGEST = 5.0, 300.0
"""Seconds between attempts while something waits: at first, and what they double up to while nothing gets done."""


@runtime_checkable
class Releasing(Protocol):
    """A datastore that may be away when something is given back to it, so that this is noted and done later."""

    def finish_releases(self, *, every: bool = False) -> Sequence[object]:
        """Do what was noted; what there was of it. CniError while the datastore is still away."""


class Finisher:
    """A thread that finishes the journal. What it needs to reach a cluster is in the confs, so it is lost for nothing.

    A cluster is reached by the conf of a call that came by, or by one of the host's conf folders. What can't be
    finished is tried ever more seldom; the thread ends with the process and not before.
    """

    def __init__(self) -> None:
        self._journal = Journal(folders()[1] / "journal")
        self._seen: dict[tuple[str, ...], NetConf] = {}
        self._told: set[str] = set()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)

    def start(self) -> None:
        self._wanted.set()
        self._thread.start()

    def saw(self, conf: NetConf) -> None:
        """A call for a cluster is over: it may have left something."""
        self._seen[_cluster(conf)] = conf
        if self._journal.length():
            self._wanted.set()

    def _work(self) -> None:
        pause, waits = _PAUSE, False
        while True:
            woken = self._wanted.wait(pause if waits else None)
            self._wanted.clear()
            begun = time.monotonic()
            try:
                before = self._waiting()
                self._attempt()
                waits = self._waiting() > 0
                pause = _PAUSE if woken or self._waiting() < before else min(2 * pause, _LONGEST)
            except Exception:  # noqa: BLE001 - the next release has to be finished, too
                LOG.exception("what is noted to be given back")
                waits, pause = True, min(2 * pause, _LONGEST)
            if woken and waits:  # calls that come by don't make it a busy loop
                time.sleep(max(0.0, _PAUSE / 10 - (time.monotonic() - begun)))

    def _waiting(self) -> int:
        """How many releases can be finished at all."""
        for words in self._journal.broken():
            if words not in self._told:
                self._told.add(words)
                LOG.error("%s", words)
        return sum(1 for _ in self._journal.all())

    def _attempt(self) -> None:
        for conf in self._clusters() if self._waiting() else ():
            try:
                _finish(conf)
            except Exception as e:  # noqa: BLE001 - one cluster's fault is no other's
                words = f"{e.msg}: {e.details}" if isinstance(e, CniError) else repr(e)
                LOG.info("what is noted to be given back waits on: %s", words)

    def _clusters(self) -> list[NetConf]:
        known = dict(self._seen)
        found = confs_there()
        for bad in found.unusable:
            LOG.info("%s", bad.words)
        for conf in found.confs:
            if conf.datastore_type != "local":
                known.setdefault(_cluster(conf), conf)
        return list(known.values())


def _cluster(conf: NetConf) -> tuple[str, ...]:
    """What tells clusters apart: the data model and the members."""
    return (conf.datastore_type, *(conf.etcd_endpoints or (conf.etcd_authority,)))


def _finish(conf: NetConf) -> None:
    store = open_store(conf)
    try:
        if isinstance(store, Releasing):
            store.finish_releases()
    finally:
        store.close()
