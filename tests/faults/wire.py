"""A watched program's connection to etcd in: what it asks there, and an answer that is cut, lost or another's, out."""

from __future__ import annotations

import json
import re
import socket

from tests.faults.effects import CUT, OVER, UNAVAILABLE

_LARGEST = 1 << 24
_V3 = {"error": "etcdserver: request timed out", "message": "etcdserver: request timed out", "code": 14}
_V2 = {"errorCode": 300, "message": "Raft Internal Error", "cause": "etcdserver: request timed out", "index": 0}


def is_stream(own: socket.socket) -> bool:
    return own.family in (socket.AF_INET, socket.AF_INET6) and own.type & socket.SOCK_STREAM != 0


def asked(data: bytes) -> str:
    """What a request is about, without what differs from run to run; a part of one behind its head is a body."""
    found = re.match(rb"([A-Z]+) (/\S*) HTTP/1", data)
    if not found:
        return "http body"
    method, path = found[1].decode(), found[2].decode().partition("?")[0]
    path = re.sub(r"[0-9a-f]{12,}", "*", path)
    path = re.sub(r"[0-9a-f]+(%3A[0-9a-f]*)+(-\d+)?", "N", path)  # IPv6
    path = re.sub(r"(?<=[a-z/.-])\d[\d.:-]*", "N", path)
    write = method == "POST" and path == "/v3/kv/txn" and not _only_reads(data)
    return f"http {method} {path}{' writes' if write else ''}"


def _only_reads(data: bytes) -> bool:
    return not re.search(rb'"request_?([Pp]ut|[Dd]elete_?[Rr]ange)"', data)


def answer(own: socket.socket, act: str, asked: str) -> bytes | None:
    """What the program reads in place of the answer that has come, None where it has not; nothing comes after it."""
    try:
        came = own.recv(_LARGEST, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    own.shutdown(socket.SHUT_RDWR)
    if act == OVER:
        return b""
    if act == CUT:
        return came[: max(1, len(came) // 2)]
    assert act == UNAVAILABLE, act
    old = "/v2/" in asked
    body = json.dumps(_V2 if old else _V3).encode()
    words = "500 Internal Server Error" if old else "503 Service Unavailable"
    lines = (f"HTTP/1.1 {words}", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    return "\r\n".join((*lines, "", "")).encode() + body
