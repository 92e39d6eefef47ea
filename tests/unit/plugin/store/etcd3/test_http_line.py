"""Claims about the one connection to a member of etcd: what it sends, and what it takes for an answer."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from calico_rkt.plugin.store.etcd3.http_line import BrokenAnswerError, Line

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Member:
    """Listens on the loopback; answers each request with the next of its pieces, and keeps what it was asked."""

    def __init__(self, *answers):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = []
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with self._listener, closing(self._listener.accept()[0]) as line:
            for pieces in self._answers:
                self.asked.append(line.recv(1 << 16))
                for piece in pieces:
                    line.sendall(piece)

    def ended(self):
        self._thread.join(10)


def answer(*answers):
    """What one request is answered with, by a member that says these pieces."""
    member = Member(answers)
    with closing(Line(member.url, 10)) as line:
        return line.post("/v3/kv/txn", b"{}", {}, 10)


def test_a_request_is_one_piece_with_all_that_etcd_wants():
    member = Member([OK])
    with closing(Line(member.url, 10)) as line:
        assert line.post("/v3/kv/txn", b'{"a":1}', {"Authorization": "t"}, 10) == (200, b"{}")
    member.ended()
    host = member.url.removeprefix("http://")
    assert member.asked == [
        f"POST /v3/kv/txn HTTP/1.1\r\nHost: {host}\r\nContent-Length: 7\r\nAuthorization: t\r\n\r\n".encode()
        + b'{"a":1}'
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        [OK],
        [bytes([b]) for b in OK],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING:  Chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: x\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n{", b"}"],
    ],
)
def test_an_answer_is_read_however_it_comes(pieces):
    assert answer(*pieces) == (200, b"{}")


def test_a_status_is_said_whatever_it_is():
    assert answer(OK.replace(b"200 OK", b"503 Away")) == (503, b"{}")


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [b"SSH-2.0-OpenSSH\r\n\r\n"],
        [b"HTTP/1.1 OK\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}"],
        [b"x" * (1 << 17)],
    ],
)
def test_what_is_no_whole_answer_is_an_error(pieces):
    with pytest.raises((BrokenAnswerError, ConnectionResetError)):
        answer(*pieces)


def test_a_line_is_used_again_until_the_other_end_closes_it():
    member = Member([OK], [OK.replace(b"{}", b"[]")])
    with closing(Line(member.url, 10)) as line:
        assert line.post("/a", b"", {}, 10) == (200, b"{}")
        assert not line.is_over()
        assert line.post("/b", b"", {}, 10) == (200, b"[]")
        member.ended()
        assert line.is_over()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.0 200 OK\r\nContent-Length: 2", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2"]
)
def test_a_member_that_says_that_it_closes_is_asked_by_another_line(said):
    member = Member([said + b"\r\n\r\n{}"])
    with closing(Line(member.url, 10)) as line:
        assert line.post("/a", b"", {}, 10) == (200, b"{}")
        assert line.is_over()


def test_a_token_with_a_line_s_end_never_becomes_a_header():
    member = Member([OK])
    with closing(Line(member.url, 10)) as line, pytest.raises(BrokenAnswerError, match="line's end"):
        line.post("/a", b"", {"Authorization": "t\r\nX: y"}, 10)


def test_a_member_that_says_nothing_is_waited_for_no_longer_than_was_said():
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, closing(Line(f"http://127.0.0.1:{silent.getsockname()[1]}", 10)) as line, pytest.raises(TimeoutError):
        line.post("/a", b"", {}, 0.05)


def test_the_store_of_a_cluster_loads_neither_http_client_nor_mail():
    code = "import json, sys; import calico_rkt.plugin.store.etcd3.store; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not {"http.client", "email", "ssl", "urllib.request"} & set(json.loads(done.stdout))


def test_an_address_of_a_family_that_the_kernel_has_not_leaves_the_others(monkeypatch):
    """`localhost` is ::1 first, also where Linux was started without IPv6."""
    member, without = Member([OK]), socket.socket

    class Without(without):
        def __init__(self, family=-1, *more, **named):
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *more, **named)

    six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 2379, 0, 0))
    four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(member.url.rpartition(":")[2])))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [six, four])
    monkeypatch.setattr(socket, "socket", Without)
    line = Line("http://localhost:2379", 10.0)
    assert line.post("/v3/kv/range", b"{}", {}, 10.0) == (200, b"{}")
    line.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [six])
    with pytest.raises(OSError, match="not supported"):
        Line("http://localhost:2379", 10.0)
