"""Bytes of the launcher's socket in, a Call out; and frames back.

A call is the struct `call` of launcher.h in the host's byte order (magic, build, nonce, device and inode of network
namespace, mount namespace and root, flags, two lengths, a reserved word), then the environment's entries with a zero
byte behind each, then the conf. The container's namespace comes as a descriptor with the first byte. Back go frames:
four words (kind, exit status, bytes of stdout, bytes of stderr), then both streams. The launcher says one byte when
it has passed an answer on.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from calico_rkt.compiler.conf.shape import LARGEST_CONF

LARGEST_ENVIRON = 1 << 17
TAKEN, DECLINED, ANSWER = ord("T"), ord("D"), ord("R")

_MAGIC = b"crkcall1"
_HEADER = struct.Struct("=8s32s16s6Q4I")
_FRAME = struct.Struct("=4I")
_TRACED, _HAS_NETNS = 1, 2
_AT_ONCE = 1 << 16
_TO_COME = struct.pack("@ll", 2, 0)
"""Seconds, and microseconds: a call arrives in one piece, or its launcher has gone."""
_ROOM = socket.CMSG_SPACE(4 * array.array("i").itemsize)

Place = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a launcher asks. places: its network namespace, its mount namespace, its root; netns_fd is -1 for none.

    The descriptor belongs to whoever has the call.
    """

    build: str
    nonce: str
    places: tuple[Place, Place, Place]
    environ: Mapping[str, str]
    conf: bytes
    netns_fd: int = -1
    traced: bool = False


class BrokenCallError(Exception):
    """What came is no whole call: an older launcher's, or one that went away while it wrote."""


def receive(connection: socket.socket) -> Call:
    """Read one call; BrokenCallError for anything else, with no descriptor left open. limit() is called for it."""
    descriptors = array.array("i")
    try:
        limit(connection)
        return _receive(connection, descriptors)
    except BaseException:
        for fd in descriptors:
            os.close(fd)
        raise


def limit(connection: socket.socket) -> None:
    """From here on who reads it waits for two seconds at most: BlockingIOError then."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TO_COME)


def _receive(connection: socket.socket, descriptors: array.array[int]) -> Call:
    data = _first(connection, descriptors)
    while len(data) < _HEADER.size:
        data += _more(connection)
    magic, build, nonce, *places, flags, environ_length, conf_length, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC or environ_length > LARGEST_ENVIRON or conf_length > LARGEST_CONF + 1:
        raise BrokenCallError("no call, or one of another build")
    whole = _HEADER.size + environ_length + conf_length
    while len(data) < whole:
        data += _more(connection)
    if len(data) > whole or len(descriptors) != bool(flags & _HAS_NETNS):
        raise BrokenCallError("a call of another length than it says")
    entries = data[_HEADER.size : whole - conf_length].decode(errors="surrogateescape").split("\0")
    return Call(
        build=build.rstrip(b"\0").decode(errors="replace"),
        nonce=nonce.decode(errors="replace"),
        places=((places[0], places[1]), (places[2], places[3]), (places[4], places[5])),
        environ={name: value for name, _, value in [e.partition("=") for e in entries if e]},
        conf=data[whole - conf_length : whole],
        netns_fd=descriptors[0] if descriptors else -1,
        traced=bool(flags & _TRACED),
    )


def _first(connection: socket.socket, descriptors: array.array[int]) -> bytes:
    try:
        data, control, _, _ = connection.recvmsg(_AT_ONCE, _ROOM)
    except OSError as e:
        raise BrokenCallError(str(e)) from e
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    if not data:
        raise BrokenCallError("closed before it said anything")
    return data


def _more(connection: socket.socket) -> bytes:
    try:
        data = connection.recv(_AT_ONCE)
    except OSError as e:
        raise BrokenCallError(str(e)) from e
    if not data:
        raise BrokenCallError("closed in the middle of a call")
    return data


def frame(kind: int, status: int = 0, stdout: bytes = b"", stderr: bytes = b"") -> bytes:
    """One frame for the launcher."""
    return _FRAME.pack(kind, status, len(stdout), len(stderr)) + stdout + stderr
