"""Stands between the plugin and etcd, v3 or v2: notes each request, and cuts the line where it is told to.

usage: python cut_requests.py LISTEN_PORT ETCD_PORT FOLDER
FOLDER/log gets a line a request: `read` or `write`. FOLDER/cut, when it is there, holds N and how:
`N before` closes the connection instead of passing the Nth request on, `N after` closes it instead of answering,
and `N before forever`, `N after forever` let nobody in any more after that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path

listen, target, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
lock = threading.Lock()
seen = [0]
closed = threading.Event()


def request_of(stream):
    """Method, path, body and headers of the next request; None at the end of the connection."""
    line = stream.readline()
    if not line:
        return None
    length, headers = 0, {}
    while (header := stream.readline()) not in (b"\r\n", b""):
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    method, path = line.decode().split()[:2]
    return method, path, stream.read(length), headers


def serve(client, server):
    upstream = HTTPConnection("127.0.0.1", target)
    stream = client.makefile("rb")
    while not closed.is_set() and (got := request_of(stream)) is not None:
        method, path, body, headers = got
        writes = method in ("PUT", "DELETE") or b"request_put" in body or b"request_delete" in body
        with lock:
            seen[0] += 1
            number = seen[0]
            with (folder / "log").open("a") as log:
                log.write("write\n" if writes else "read\n")
        cut = (folder / "cut").read_text().split() if (folder / "cut").exists() else ["0", "-"]
        mine = number == int(cut[0])
        if mine and cut[2:]:
            closed.set()
            server.close()
        if not (mine and cut[1] == "before"):
            kept = {k: v for k, v in headers.items() if k in ("content-type", "authorization")}
            upstream.request(method, path, body, kept)
            answer = upstream.getresponse()
            data = answer.read()
        if mine:
            break
        head = f"HTTP/1.1 {answer.status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        client.sendall(head.encode() + data)
    client.shutdown(socket.SHUT_RDWR)
    client.close()


def main():
    server = socket.create_server(("127.0.0.1", listen))
    (folder / "pid").write_text(str(os.getpid()))
    with contextlib.suppress(OSError):
        while not closed.is_set():
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client, server), daemon=True).start()
    closed.wait()
    os._exit(0)


main()
