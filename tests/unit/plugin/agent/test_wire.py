"""A call comes over the socket as it was sent, or not at all."""

import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from calico_rkt.plugin.agent import wire

HEADER = struct.Struct("=8s32s16s6Q4I")
ENVIRON = b"CNI_COMMAND=ADD\0CNI_ARGS=IP=10.0.0.1;A=b\0EMPTY=\0"
CONF = b'{"name": "web"}'


def call(*, magic=b"crkcall1", flags=0, environ=ENVIRON, conf=CONF):
    head = HEADER.pack(magic, b"b" * 32, b"0123456789abcdef", 1, 2, 3, 4, 5, 6, flags, len(environ), len(conf), 0)
    return head + environ + conf


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def test_a_call_arrives_whole(ends):
    ours, theirs = ends
    theirs.sendall(call(flags=1))
    found = wire.receive(ours)
    assert found.environ == {"CNI_COMMAND": "ADD", "CNI_ARGS": "IP=10.0.0.1;A=b", "EMPTY": ""}
    assert (found.conf, found.nonce, found.build) == (CONF, "0123456789abcdef", "b" * 32)
    assert found.places == ((1, 2), (3, 4), (5, 6))
    assert found.traced
    assert found.netns_fd == -1


def test_a_call_in_pieces_is_put_together(ends):
    ours, theirs = ends
    conf = b"x" * (1 << 20)

    def send():
        data = call(conf=conf)
        for at in range(0, len(data), 50_000):
            theirs.sendall(data[at : at + 50_000])

    thread = threading.Thread(target=send)
    thread.start()
    assert wire.receive(ours).conf == conf
    thread.join()


def test_a_descriptor_comes_along(ends):
    ours, theirs = ends
    with Path("/proc/self/ns/net").open("rb") as net:
        socket.send_fds(theirs, [call(flags=2)], [net.fileno()])
        found = wire.receive(ours)
        assert os.fstat(found.netns_fd).st_ino == os.fstat(net.fileno()).st_ino
        os.close(found.netns_fd)


def test_a_call_that_comes_behind_its_connection_is_waited_for(ends):
    ours, theirs = ends
    ours.settimeout(None)
    late = threading.Timer(0.05, theirs.sendall, [call()])
    late.start()
    found = wire.receive(ours)
    late.join()
    assert found.conf == CONF


def test_who_says_nothing_is_not_waited_for_for_ever(ends):
    ours, theirs = ends
    ours.settimeout(None)
    theirs.sendall(call()[:-1])
    with pytest.raises(wire.BrokenCallError):
        wire.receive(ours)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        call()[:100],
        call()[:-1],
        call() + b"more",
        call(magic=b"crkcall0"),
        call(flags=2),
        HEADER.pack(b"crkcall1", b"", b"", 0, 0, 0, 0, 0, 0, 0, 1 << 31, 0, 0),
        HEADER.pack(b"crkcall1", b"", b"", 0, 0, 0, 0, 0, 0, 0, 0, 1 << 31, 0),
    ],
)
def test_anything_else_is_a_broken_call(ends, data):
    ours, theirs = ends
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(wire.BrokenCallError):
        wire.receive(ours)


@pytest.mark.parametrize(("flags", "count"), [(0, 1), (2, 3), (2, 1)])
def test_no_descriptor_is_left_of_a_broken_call(ends, flags, count):
    ours, theirs = ends
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - pathlib has no count
    with Path("/dev/null").open("rb") as null:
        socket.send_fds(theirs, [call(flags=flags)[:150]], [null.fileno()] * count)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(wire.BrokenCallError):
            wire.receive(ours)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_launcher_speaks_of_the_same_call():
    """launcher.h declares what this reads: compared field by field, since no compiler sees both."""
    source = Path(wire.__file__).parent.joinpath("launcher.h").read_text()
    declared = source[source.index("struct call {") : source.index("struct frame {")]
    for field in ("char magic[8]", "char build[32]", "char nonce[16]", "uint64_t net[2], mnt[2], root[2]"):
        assert field in declared
    assert "uint32_t flags, environ_length, conf_length, unused" in declared
    assert f"TAKEN = '{chr(wire.TAKEN)}', DECLINED = '{chr(wire.DECLINED)}', ANSWER = '{chr(wire.ANSWER)}'" in source


def test_a_frame_holds_both_streams():
    kind, status, out, err = struct.unpack_from("=4I", wire.frame(wire.ANSWER, 1, b"out", b"error"))
    assert (kind, status, out, err) == (ord("R"), 1, 3, 5)
    assert wire.frame(wire.ANSWER, 1, b"out", b"error")[16:] == b"outerror"
