"""A listening socket in, the metrics' page to whoever asks for it (HTTP/1.0, one request a connection) out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from calico_rkt.plugin.log import LOG

_LONGEST_REQUEST = 1 << 13
_PATIENCE = 2.0


def offer(listener: socket.socket, text: Callable[[bool], str]) -> threading.Thread:
    """Answer GET /metrics in a thread of its own, which ends with the process.

    text is asked with True for /metrics?brief: without what takes long to find out.
    """
    listener.setblocking(True)
    thread = threading.Thread(target=_serve, args=(listener, text), name="metrics", daemon=True)
    thread.start()
    return thread


def _serve(listener: socket.socket, text: Callable[[bool], str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as e:
            LOG.error("metrics are offered no more: %s", e)
            return
        with connection, suppress(OSError):
            connection.settimeout(_PATIENCE)
            connection.sendall(_answer(_request(connection), text))


def _request(connection: socket.socket) -> bytes:
    """The request line."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LONGEST_REQUEST:
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
