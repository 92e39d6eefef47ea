"""A Request in, its verb carried out and answered."""

from __future__ import annotations

from collections.abc import Callable

from calico_rkt.plugin import attach
from calico_rkt.plugin.locks import attachment_lock
from calico_rkt.plugin.log import LOG, open_log
from calico_rkt.plugin.request import Request
from calico_rkt.plugin.result import CniError, Code, Result
from calico_rkt.plugin.store.local import LocalStore, open_local


def serve(request: Request, answer: Callable[[Result], None]) -> None:
    """Carry out one CNI call; answer is called with the result of an ADD. Errors are CniError.

    The answer is given under the attachment's lock; when it can't be, the ADD is taken back.
    """
    open_log(request.conf.log_level)
    for warning in request.warnings:
        LOG.info("%s: %s", warning.code, warning.message)
    if request.conf.datastore_type != "local":
        raise CniError(
            Code.UNSUPPORTED_FIELD,
            f"datastore_type {request.conf.datastore_type!r} is not served by this version",
            "leave out the etcd keys and ETCD_AUTHORITY/ETCD_ENDPOINTS, or say datastore_type local",
        )
    store = open_local()
    try:
        _dispatch(request, store, answer)
    except CniError as e:
        LOG.error("%s %s: %d %s: %s", request.command, request.conf.name, e.code, e.msg, e.details)
        raise
    finally:
        store.close()


def _dispatch(request: Request, store: LocalStore, answer: Callable[[Result], None]) -> None:
    if request.command == "STATUS":
        return attach.status(request, store)
    if request.command == "GC":
        return attach.gc(request, store)
    with attachment_lock(store.run_dir, attach.key_of(request)):
        if request.command == "DEL":
            return attach.delete(request, store)
        if request.command == "CHECK":
            return attach.check(request, store)
        return attach.add(request, store, answer)
