"""A Request in, its verb carried out and answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from logging import INFO, WARNING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.conf.parse import UNSERVED
from calico_rkt.plugin.attach import add, delete, garbage
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.enforce.local import restore_closed
from calico_rkt.plugin.enforce.nft.closing import close_first
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process.locks import attachment_lock
from calico_rkt.plugin.process.log import LOG, open_log
from calico_rkt.plugin.store.local import LocalStore, open_local
from calico_rkt.plugin.store.protocol import Store


def serve(request: Request, answer: Callable[[Mapping[str, object]], None]) -> None:
    """Carry out one CNI call; answer is called with the result of an ADD as a JSON object. Errors are CniError.

    The answer is given under the attachment's lock; when it can't be, the ADD is taken back.
    """
    open_log(request.conf.log_level)
    for warning in request.warnings:
        told = warning.is_error or warning.code == UNSERVED
        LOG.log(WARNING if told else INFO, "%s: %s", warning.code, warning.message)
    closing = request.conf.datastore_type == "local" and request.command in ("ADD", "DEL")
    if closing:
        _close_first(request)
    store = open_store(request.conf)
    try:
        _dispatch(request, store, answer)
        if closing and request.command == "DEL":
            _restore_closed(store)
    except CniError as e:
        about = " ".join(filter(None, (request.command, request.conf.name, request.container, request.ifname)))
        LOG.error("%s: %d %s: %s", about, e.code, e.msg, e.details)
        raise
    finally:
        store.close()


def _close_first(request: Request) -> None:
    """Before any lock and any file: a host whose table is gone or not whole is open for as long as this takes."""
    try:
        close_first(remember=True)
    except CniError as e:
        if request.command == "ADD":
            raise
        LOG.error("%s: %s", e.msg, e.details)


def _restore_closed(store: Store) -> None:
    try:
        if isinstance(store, LocalStore):
            restore_closed(store)
    except CniError as e:  # the DEL itself is done
        LOG.error("the host stays closed: %s: %s", e.msg, e.details)


def open_store(conf: NetConf) -> Store:
    """The datastore that a conf names."""
    if conf.datastore_type == "local":
        return open_local()
    from calico_rkt.plugin.store.clusters import open_cluster

    return open_cluster(conf)


def _dispatch(request: Request, store: Store, answer: Callable[[Mapping[str, object]], None]) -> None:
    if request.command == "STATUS":
        return add.cmd_status(request, store)
    if request.command == "GC":
        return garbage.cmd_gc(request, store)
    with attachment_lock(store.run_dir, delete.key_of(request)):
        if request.command == "DEL":
            return delete.cmd_del(request, store)
        if request.command == "CHECK":
            return add.cmd_check(request, store)
        return add.cmd_add(request, store, answer)
