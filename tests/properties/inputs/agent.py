"""What a launcher says in: bytes, lengths, descriptors; the agent's end of its socket, as a door, out."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from calico_rkt.plugin.agent import wire
from calico_rkt.plugin.agent.metrics import Metrics
from calico_rkt.plugin.agent.serve import Conversation, Identity
from calico_rkt.plugin.calls import call as calls
from tests.properties.inputs.calls import CALLS
from tests.properties.inputs.door import Door, one_answer

_BUILD = "0" * 32
_OWN = Identity.own(_BUILD)
_numbers = st.sampled_from(
    [0, 1, 2, 7, 1 << 16, 1 << 17, (1 << 17) + 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 2, (1 << 32) - 1]
)


@st.composite
def _asked(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """The pieces in which the bytes come, and how many descriptors with the first."""
    environ, conf = draw(CALLS.inputs)
    entries = b"".join(f"{k}={v}\0".encode("utf-8", "surrogateescape") for k, v in environ.items())
    descriptors = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    places = [n for place in _OWN.places for n in place]
    header: list[Any] = [
        b"crkcall1",
        _BUILD.encode(),
        b"f" * 16,
        *places,
        2 * (descriptors == 1),
        len(entries),
        len(conf),
        0,
    ]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(header) - 1))
        header[at] = draw(st.binary(max_size=40)) if at < 3 else draw(_numbers)
    data = struct.pack("=8s32s16s6Q4I", *header) + entries + conf
    if draw(st.sampled_from([False, False, True])):
        data = data[: draw(st.integers(0, len(data)))] + draw(st.binary(max_size=4))
    at = draw(st.integers(0, len(data)))
    return [piece for piece in (data[:at], data[at:]) if piece], descriptors


def _frames(data: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    while data:
        kind, status, out, err = struct.unpack_from("=4I", data)
        assert len(data) >= 16 + out + err, "half a frame"
        found.append((kind, status, data[16 : 16 + out]))
        data = data[16 + out + err :]
    return found


def _enter(asked: tuple[list[bytes], int]) -> None:
    pieces, descriptors = asked
    before = _open()
    ours, theirs = socket.socketpair()
    with ours, theirs, patch.object(calls, "_serve", lambda _, say: say("{}\n")):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        for n, piece in enumerate(pieces):
            given = array.array("i", [0] * descriptors if n == 0 else [])
            theirs.sendmsg([piece], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)] if given else [])
        theirs.shutdown(socket.SHUT_WR)
        Conversation(ours, _OWN, Metrics()).hold()
        ours.close()
        said = b""
        while more := _received(theirs):
            said += more
    assert _open() == before, "a descriptor stays open"
    frames = _frames(said)
    kinds = bytes(kind for kind, _, _ in frames)
    assert kinds in (b"", b"D", b"R", b"TR", b"TRR"), frames
    assert kinds != b"TRR" or (not frames[1][1] and frames[2][1]), "who is gone and heard of success: it is taken back"
    for kind, status, out in frames:
        if kind == wire.ANSWER and out:
            one_answer(status, out)
            assert status or json.loads(out) == {}


def _open() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - quick


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionResetError:  # closed with bytes that nobody read
        return b""


AGENT = Door("the agent's socket", "bytes, lengths and descriptors of a call", _asked(), _enter, share=150)
