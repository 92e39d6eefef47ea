"""Claims about transactions with members that answer in ways of their own: who is asked next, and what is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import get
from calico_rkt.plugin.store.etcd3.published import Etcd3Profiles

FOUND = json.dumps({"header": {"revision": "7"}, "succeeded": True, "responses": [{"response_range": {}}]})
PAGE = "<html><h1>Bad Gateway</h1></html>"


class Member:
    """Listens on the loopback, and answers each request with the next status and body; the last one for good."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = 0
        self._answers = answers
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line = self._listener.accept()[0]
            except OSError:
                return
            with closing(line):
                line.recv(1 << 16)
                status, body = self._answers[min(self.asked, len(self._answers) - 1)]
                self.asked += 1
                head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                line.sendall(f"{head}{body}".encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def error(code: int, words: str) -> str:
    return json.dumps({"error": words, "code": code})


@pytest.fixture
def asking() -> Iterator[list[Member]]:
    """Members that a test started; they end with it."""
    started: list[Member] = []
    yield started
    for member in started:
        member.close()


def read(asking: list[Member], *members: Member, seconds: float = 5.0) -> int:
    """The revision of an answer of these members."""
    asking.extend(members)
    gateway = Gateway(Access(tuple(m.url for m in members)))
    gateway.begin(seconds)
    try:
        return gateway.read(get("/a")).revision
    finally:
        gateway.close()


@pytest.mark.parametrize(
    "passing",
    [
        (502, PAGE),
        (503, ""),
        (429, error(8, "etcdserver: too many requests")),
        (503, error(14, "etcdserver: no leader")),
        (503, error(14, "etcdserver: rpc not supported for learner")),
    ],
)
def test_what_passes_is_asked_again(asking: list[Member], passing: tuple[int, str]) -> None:
    member = Member(passing, passing, (200, FOUND))
    assert read(asking, member) == 7
    assert member.asked == 3


def test_what_is_no_etcd_keeps_nobody_from_the_others(asking: list[Member]) -> None:
    other = Member((404, "<html>not here</html>"))
    assert read(asking, other, Member((200, FOUND))) == 7
    assert other.asked == 1


def test_what_is_no_etcd_is_said_at_once_where_there_is_no_other(asking: list[Member]) -> None:
    with pytest.raises(CniError) as caught:
        read(asking, Member((404, "<html>not here</html>")))
    assert (caught.value.code, caught.value.msg.partition(" is ")[2]) == (
        Code.DATASTORE,
        "no etcd: /v3/kv/txn gave status 404",
    )


def test_an_etcd_that_is_full_is_not_asked_again(asking: list[Member]) -> None:
    member = Member((429, error(8, "etcdserver: mvcc: database space exceeded")))
    with pytest.raises(CniError) as caught:
        read(asking, member)
    assert caught.value.code == Code.DATASTORE
    assert member.asked == 1


def test_changes_that_are_too_large_together_are_told_to_be_made_one_by_one(asking: list[Member]) -> None:
    """Etcd takes 1.5 MB a transaction."""
    none = json.dumps({"header": {"revision": "7"}, "succeeded": True, "responses": [{"response_range": {}}] * 2})
    member = Member((200, none), (429, error(8, "grpc: received message larger than max (2150306 vs. 2097152)")))
    asking.append(member)
    networks = [Network(name, name, (), ()) for name in ("a", "b")]
    new = [Published(n.id, n.name, write_calico_v3(n), digest(n)) for n in networks]
    with closing(Gateway(Access((member.url,)))) as gateway, pytest.raises(CniError) as caught:
        Etcd3Profiles(gateway).swap([(one, 0) for one in new])
    assert (
        caught.value.details
        == "2 changed networks are too much at once: name some of them: calico-rkt apply NETWORK..."
    )
