"""Confs of clusters that calls came with in, what was noted while etcd was away given back out."""

from __future__ import annotations

import threading

from calico_rkt.compiler.conf import NetConf
from calico_rkt.plugin.decided import confs_there
from calico_rkt.plugin.log import LOG
from calico_rkt.plugin.result import CniError
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.local import folders
from calico_rkt.plugin.store.protocol import Releasing
from calico_rkt.plugin.verbs import open_store

_PAUSE = 5.0
"""Seconds between attempts while something waits; with nothing noted the thread sleeps."""


class Finisher:
    """A thread that finishes the journal. What it needs to reach a cluster is in the confs, so it is lost for nothing.

    A cluster is reached by the conf of a call that came by, or by one of the host's conf folders.
    """

    def __init__(self) -> None:
        self._journal = Journal(folders()[1] / "journal")
        self._seen: dict[tuple[str, ...], NetConf] = {}
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
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._journal.length():
                for conf in self._clusters():
                    _finish(conf)
                if self._journal.length() and self._wanted.wait(_PAUSE):
                    self._wanted.clear()

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
    try:
        store = open_store(conf)
        try:
            if isinstance(store, Releasing):
                store.finish_releases()
        finally:
            store.close()
    except CniError as e:
        LOG.info("what is noted to be given back waits on: %s", e.msg)
