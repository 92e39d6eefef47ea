"""A listening socket in, the metrics' page to whoever asks for it (HTTP/1.0, one request a connection) out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from calico_rkt.plugin.process.log import LOG

_LONGEST_REQUEST = 1 << 13
_PATIENCE = 2.0
"""Seconds for a whole request, and as many for the whole answer."""
_AT_ONCE = 16
"""Readers at the same time; one more is sent away, since a slow one has its place for some seconds."""
_PAUSE = 0.5
"""Seconds until the next attempt, where no connection could be taken."""


def offer(listener: socket.socket, text: Callable[[bool], str]) -> threading.Thread:
    """Answer GET /metrics in a thread of its own, which ends with the process.

    text is asked with True for /metrics?brief: without what takes long to find out.
    """
    listener.setblocking(True)
    thread = threading.Thread(target=_serve, args=(listener, text), name="metrics", daemon=True)
    thread.start()
    return thread


def _serve(listener: socket.socket, text: Callable[[bool], str]) -> None:
    places = threading.Semaphore(_AT_ONCE)
    failed = False
    while listener.fileno() >= 0:
        try:
            connection, _ = listener.accept()
        except OSError as e:  # no descriptor left, say: there will be one again
            if not failed:
                LOG.error("metrics can not be asked for at the moment: %s", e)
            failed = True
            time.sleep(_PAUSE)
            continue
        failed = False
        if not places.acquire(blocking=False):
            connection.close()
            continue
        try:
            threading.Thread(target=_converse, args=(connection, text, places), name="scrape", daemon=True).start()
        except RuntimeError:  # no thread to be had
            _converse(connection, text, places)


def _converse(connection: socket.socket, text: Callable[[bool], str], places: threading.Semaphore) -> None:
    try:
        with connection, suppress(OSError):
            said = _request(connection)
            answer = _answer(said, text)
            connection.settimeout(_PATIENCE)
            connection.sendall(answer)  # all of it within that time
    except Exception:  # noqa: BLE001 - the next one may succeed
        LOG.exception("metrics")
    finally:
        places.release()


def _request(connection: socket.socket) -> bytes:
    """The request line."""
    until = time.monotonic() + _PATIENCE
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LONGEST_REQUEST:
        connection.settimeout(max(0.001, until - time.monotonic()))
        more = connection.recv(_LONGEST_REQUEST)
        if not more:
            break
        data += more
    return data.partition(b"\r\n")[0]


def _answer(request: bytes, text: Callable[[bool], str]) -> bytes:
    method, _, rest = request.partition(b" ")
    if method != b"GET":
        return _response("405 Method Not Allowed", "only GET\n")
    path, _, query = rest.partition(b" ")[0].partition(b"?")
    if path not in (b"/metrics", b"/"):
        return _response("404 Not Found", "only /metrics\n")
    try:
        return _response("200 OK", text(query == b"brief"))
    except Exception:  # noqa: BLE001 - the next one may succeed
        LOG.exception("metrics")
        return _response("500 Internal Server Error", "the log says why\n")


def _response(status: str, body: str) -> bytes:
    data = body.encode()
    head = f"HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {len(data)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + data
