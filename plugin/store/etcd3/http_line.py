"""A member's URL in, one kept connection to it out: POST and its answer, as far as etcd's gateway speaks HTTP/1.1.

http.client sends a request in two pieces, which wakes its reader twice, and takes an answer's head for a mail: that is
longer than etcd needs to answer, and to import it takes longer than an attach.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_AT_ONCE = 1 << 16
_LONGEST_HEAD = 1 << 16
_PORTS = {"http": 80, "https": 443}


class BrokenAnswerError(Exception):
    """What came is no answer of HTTP/1.1, or ended in the middle; the connection is of no more use."""


class Line:
    """One connection; tls is an ssl.SSLContext where the URL says https. OSError where nobody is there."""

    def __init__(self, url: str, seconds: float, tls: Any = None) -> None:  # noqa: ANN401 - ssl is imported for TLS alone
        where = urlsplit(url)
        host, port = where.hostname or "", where.port or _PORTS.get(where.scheme, 80)
        self._host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._socket = _connected(host, port, seconds)
        try:
            self._socket.settimeout(seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        except BaseException:
            self._socket.close()
            raise
        self._is_tls, self._ends, self._left = tls is not None, False, b""
        self.since = time.monotonic()

    def post(self, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> tuple[int, bytes]:
        """Status and body of the answer. No read or write waits for longer than seconds."""
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise BrokenAnswerError("a header has a line's end in it")
        self._socket.settimeout(seconds)
        self._socket.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
        status, head = self._head()
        while 100 <= status < 200:
            status, head = self._head()
        if head.get("transfer-encoding", "").lower() == "chunked":
            return status, self._chunks()
        if "content-length" in head:
            return status, self._exactly(_number(head["content-length"], 10))
        self._ends = True
        while more := self._socket.recv(_AT_ONCE):
            self._left += more
        return status, self._left

    def is_over(self) -> bool:
        """Whether the other end has closed it meanwhile, or will: an idle one has nothing to read."""
        if self._ends or self._left:
            return True
        if self._is_tls:
            import select

            return bool(select.select([self._socket], [], [], 0)[0])
        self._socket.settimeout(0)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._left:
            if len(self._left) > _LONGEST_HEAD:
                raise BrokenAnswerError("an answer's head has no end")
            self._more()
        text, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise BrokenAnswerError(f"no answer of HTTP/1.1: {first[:80]!r}")
        named = (line.partition(":") for line in lines)
        head = {name.strip().lower(): value.strip() for name, _, value in named}
        self._ends = head.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        return _number(rest[:3], 10), head

    def _chunks(self) -> bytes:
        found = []
        while size := _number(self._to_line_s_end().partition(b";")[0].decode("latin-1"), 16):
            found.append(self._exactly(size))
            if self._to_line_s_end():
                raise BrokenAnswerError("a piece of an answer is longer than it says")
        while self._to_line_s_end():
            pass  # what comes behind the last piece says nothing that is needed
        return b"".join(found)

    def _to_line_s_end(self) -> bytes:
        while b"\r\n" not in self._left:
            if len(self._left) > _LONGEST_HEAD:
                raise BrokenAnswerError("a line of an answer has no end")
            self._more()
        line, _, self._left = self._left.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        pieces, there = [self._left], len(self._left)
        while there < size:
            pieces.append(self._read())
            there += len(pieces[-1])
        data = b"".join(pieces)
        self._left = data[size:]
        return data[:size]

    def _more(self) -> None:
        self._left += self._read()

    def _read(self) -> bytes:
        more = self._socket.recv(_AT_ONCE)
        if not more:
            raise BrokenAnswerError("the connection was closed without an answer")
        return more


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to one of the addresses of a name: one where nobody answers leaves time for those behind it."""
    until = time.monotonic() + seconds
    places = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    for left in range(len(places), 0, -1):
        family, kind, protocol, _, place = places[-left]
        try:
            return _one(socket.socket(family, kind, protocol), place, max(until - time.monotonic(), 0.1) / left)
        except OSError:  # also of a family that this kernel has not
            if left == 1:
                raise
    raise OSError(f"{host} has no address")


def _one(made: socket.socket, place: tuple[str | int | bytes, ...], seconds: float) -> socket.socket:
    try:
        made.settimeout(seconds)
        made.connect(place)
    except BaseException:
        made.close()
        raise
    return made


def _number(text: str, base: int) -> int:
    try:
        found = int(text, base)
    except ValueError:
        found = -1
    if found < 0:
        raise BrokenAnswerError(f"{text[:20]!r} is no number of an answer of HTTP/1.1")
    return found
