"""Encoded netlink messages in, the kernel's answers out: one socket, no library, no cache."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from errno import EBADMSG, ENODEV
from types import TracebackType

from calico_rkt.compiler.typed import Self
from calico_rkt.plugin.link import numbered
from calico_rkt.plugin.link.numbered import STEP, Batch, Messages

ROUTE, NETFILTER = 0, 12
"""Protocol numbers of netlink sockets (linux/netlink.h)."""

LINK_GROUP = 1
"""The multicast group that tells of links (linux/rtnetlink.h)."""

REQUEST, ACK, DUMP, REPLACE, EXCL, CREATE = numbered.REQUEST, numbered.ACK, 0x300, 0x100, 0x200, 0x400

_HEADER = numbered.HEADER
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=HHI")
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
_ERROR, _DONE, _DELLINK = 2, 3, 17
_INDEX = struct.Struct("=Bxxxi")  # ifinfomsg up to the index
_CODE = struct.Struct("=i")  # nlmsgerr up to the error
_ACK_CAPPED, _ACK_TLVS, _MULTI, _DUMP_INTR = 0x100, 0x200, 0x2, 0x10
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT = 270, 10, 11, 12
_RCVBUFFORCE = 33
_GET_INDEX, _IFREQ = 0x8933, 40  # SIOCGIFINDEX, and the size of what it takes
_NESTED, _TYPE = 0x8000, 0x3FFF
_BUFFER = 1 << 16  # a dump comes in pieces of 32 KB; what is larger than 128 KB is given back to the system each time
_AT_ONCE = 1 << 15
_ATTEMPTS = 5
_LOOKS = 20
_MOST_PLACES = 16
_LAST = 1 << 31
"""A number that no batch begins behind."""


_WHERE = "netlink"
"""The place that errors of these sockets name, as those of files do: else people are told that stdout has failed."""


class NetlinkError(OSError):
    """A message that the kernel refused. index counts the messages of the batch from 0; strerror has the reason."""

    def __init__(self, errno: int, reason: str, index: int) -> None:
        super().__init__(errno, reason or os.strerror(errno))
        self.index, self.filename = index, _WHERE


class _KnownShape:
    """Use as a context around what takes answers apart: one of another shape is a NetlinkError (EBADMSG), too."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, (struct.error, LookupError, ValueError, TypeError)):
            raise _other_shape(f"{type(error).__name__}: {error}") from error


KNOWN_SHAPE = _KnownShape()


def _other_shape(why: str) -> NetlinkError:
    return NetlinkError(EBADMSG, f"the kernel's answer has a shape that is not known here: {why}", 0)


Question = tuple[int, bytes]
"""A request's kind and body, about one object."""


class Socket:
    """A netlink socket of the calling thread's network namespace; it stays there wherever the thread goes."""

    def __init__(self, protocol: int = ROUTE, groups: int = 0, *, buffer: int = 0, brief: bool = False) -> None:
        """groups: the multicast groups to hear; buffer: so many bytes may wait to be read, whatever others may have.

        brief: for a few messages, then it is closed: fewer system calls make it, and dumps give more than they should.
        """
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        except OSError as e:
            e.filename = _WHERE
            raise
        for option in (_EXT_ACK,) if brief else (_EXT_ACK, _STRICT, _CAP_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        if not brief:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, buffer)
        if groups:
            self._socket.bind((0, groups))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def has_link(self, name: str) -> bool:
        """Whether the namespace has an interface of that name, asked with one system call."""
        try:
            fcntl.ioctl(self._socket, _GET_INDEX, name.encode().ljust(_IFREQ, b"\0"))
        except OSError as e:
            if e.errno == ENODEV:
                return False
            e.filename = _WHERE
            raise
        return True

    def links_gone(self) -> list[int]:
        """Of a socket that listens to LINK_GROUP: the indexes of links that have gone, of one event that is there."""
        with KNOWN_SHAPE:
            return [
                _INDEX.unpack_from(body)[1]
                for kind, _, _, body in self._receive()
                if kind == _DELLINK
                and _INDEX.unpack_from(body)[0] == socket.AF_UNSPEC  # a bridge tells of its ports, too
            ]

    def told(self) -> list[tuple[int, bytes]]:
        """Of a socket that listens to a group: kind and body of each message of one event that is there."""
        return [(kind, body) for kind, _, _, body in self._receive()]

    def limit(self, seconds: int) -> None:
        """Wait that long for an answer at most; OSError then."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, 0))

    def batch(self, messages: bytes | Batch) -> list[NetlinkError | None]:
        """Send messages in one go; the kernel does them in order, each whatever became of the one before.

        Returns an answer a message, None where it was done. One send is one system call, so a killed
        process leaves all of it done or none.
        """
        return self.exchange(messages)[0]

    def exchange(
        self, changes: bytes | Batch, questions: Sequence[Question] = ()
    ) -> tuple[list[NetlinkError | None], list[bytes | NetlinkError]]:
        """Send changes as batch() does, and questions behind them in the same go: each is about what came before it.

        Returns an answer a change, and to each question the body of the one object that it is about, or why there is
        none. The kernel tells of every change that it refuses, and goes in order: that the last one is answered says
        that all before it were done. A Batch has its questions in itself.
        """
        first = self._next()
        if not isinstance(changes, Batch):
            whole = b"".join([changes, *(message(kind, REQUEST, body) for kind, body in questions)])
            changes = Batch(lambda _: Messages(whole, len(questions), 0 if questions else 1), ())
        data, count, number = changes.numbered(first)
        if not count:
            return [], []
        last = self._sequence = first + count - 1
        self._put(data)
        changed = count - number
        done: list[NetlinkError | None] = [None] * changed
        told: list[bytes | NetlinkError | None] = [None] * number
        ended = False
        while not ended:
            for kind, flags, sequence, body in self._receive():
                if not first <= sequence <= last:
                    continue
                index = sequence - first
                error = _answer(body, flags, index) if kind == _ERROR else None
                if index < changed:
                    done[index] = error
                else:
                    told[index - changed] = error if kind == _ERROR else body
                ended = ended or sequence == last
        return done, [answer for answer in told if answer is not None]

    def _next(self) -> int:
        """What a send's first number is to be."""
        return (self._sequence | STEP - 1) + 1 if self._sequence < _LAST else STEP

    def do(self, messages: bytes | Batch) -> None:
        """Send messages as batch() does; NetlinkError for the first one that was refused."""
        for error in self.batch(messages):
            if error is not None:
                raise error

    def transaction(self, messages: Sequence[bytes] | Batch) -> NetlinkError | None:
        """Send an nfnetlink batch, its begin and end included; None when all is done, else why nothing is."""
        first = self._next()
        if not isinstance(messages, Batch):
            whole = b"".join(messages)
            # Older kernels than 6.10 answer no begin and no end: the last message between them speaks for all.
            messages = Batch(lambda _: Messages(whole, 1, 2), ())
        data, count, _ = messages.numbered(first)
        last = self._sequence = first + count - 1
        self._put(data)
        failed: NetlinkError | None = None
        while True:
            for kind, flags, sequence, body in self._receive():
                if kind != _ERROR or not first <= sequence <= last:
                    continue
                failed = failed or _answer(body, flags, sequence - first)
                if sequence in (first, last - 1):  # one for the begin says that all is refused
                    return failed

    def get(self, kind: int, body: bytes) -> bytes:
        """The body of the one object that answers a request; NetlinkError when there is none."""
        self._send(kind, REQUEST, body)
        while True:
            for got, flags, sequence, answer in self._receive():
                if sequence != self._sequence:
                    continue
                if got == _ERROR:
                    error = _answer(answer, flags, 0)
                    if error is not None:
                        raise error
                return answer

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all objects of a dump. One that changed while it was read is read again."""
        for _ in range(_ATTEMPTS):
            found, whole = self.dump_once(kind, body)
            if whole:
                break
        return found

    def listed(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        """The same, and whether it stood still at last: where it never did, what any of many looks found."""
        every: list[bytes] = []
        for _ in range(_LOOKS):
            found, whole = self.dump_once(kind, body)
            if whole:
                return found, True
            every += found
        return every, False

    def dump_once(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        """The bodies of all objects of a dump, and whether nothing changed while it was read."""
        found: list[bytes] = []
        whole = self._dump(kind, body, found.append)
        return found, whole

    def dump_through(self, kind: int, body: bytes, look: Callable[[bytes], object]) -> None:
        """Show each body of a dump, none of which is kept: of 60,000 flows they are 20 MB.

        Of a dump that changed while it was read some are shown again.
        """
        with KNOWN_SHAPE:
            for _ in range(_ATTEMPTS):
                if self._dump(kind, body, look):
                    break

    def _dump(self, kind: int, body: bytes, look: Callable[[bytes], object]) -> bool:
        self._send(kind, REQUEST | DUMP, body)
        whole = True
        while True:
            for got, flags, sequence, answer in self._receive():
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & _DUMP_INTR
                if got in (_ERROR, _DONE):
                    error = _answer(answer, flags, 0)
                    if error is not None:
                        raise error
                    return whole
                look(answer)

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        self._put(_HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0) + body)

    def _put(self, data: bytes | bytearray) -> None:
        try:
            self._socket.send(data)
        except OSError as e:
            e.filename = _WHERE
            raise

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """One datagram's messages: type, flags, sequence number, body."""
        try:
            data = self._socket.recv(_BUFFER)
        except OSError as e:
            e.filename = _WHERE
            raise
        offset, end = 0, len(data)
        if end >= 16:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
            if length == end:  # most are alone
                return [(kind, flags, sequence, data[16:])]
        found = []
        while offset + 16 <= end:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if offset + length > end:
                raise _other_shape(f"a message of {length} bytes where {end - offset} are left")
            if length < 16:
                break
            found.append((kind, flags, sequence, data[offset + 16 : offset + length]))
            offset += (length + 3) & ~3
        return found


def message(kind: int, flags: int, body: bytes) -> bytes:
    """One message for batch(), padded; its sequence number is given when it is sent."""
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, flags, 0, 0) + body + _PADDING[-length & 3]


def attribute(kind: int, value: bytes, *, nested: bool = False) -> bytes:
    """One attribute with its header, padded to four bytes."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind | _NESTED if nested else kind) + value + _PADDING[-length & 3]


def number(kind: int, value: int) -> bytes:
    """An attribute of one number of four bytes, as the host writes it."""
    return _NUMBER.pack(8, kind, value)


def first(data: bytes, wanted: int, offset: int = 0) -> bytes:
    """The first attribute of that number in data, from offset on; empty where there is none."""
    return _first(data, wanted, offset)[0]


def _first(data: bytes, wanted: int, offset: int) -> tuple[bytes, list[tuple[int, int]], int]:
    """The same, the heads of the attributes up to it, and where it begins, behind its own head."""
    heads = []
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        heads.append((length, kind))
        if kind & _TYPE == wanted or length < 4:
            return data[offset + 4 : offset + length], heads, offset + 4
        offset += (length + 3) & ~3
    return b"", heads, offset


class Place:
    """Finds the same attribute in answers of one kind again and again, as first() does.

    Where an answer has the heads of one that was walked through, attribute by attribute, it stands where it stood in
    that one: all heads up to it are compared at once. The kernel tells of twenty others before it comes to a veth's
    other end.
    """

    def __init__(self, wanted: int, offset: int) -> None:
        self._wanted, self._offset = wanted, offset
        self._known: dict[int, tuple[struct.Struct, tuple[int, ...], slice]] = {}

    def of(self, data: bytes) -> bytes:
        """The attribute; empty where there is none."""
        known = self._known.get(len(data))
        if known is not None:
            layout, heads, place = known
            if layout.unpack_from(data, self._offset) == heads:
                return data[place]
        found, walked, begin = _first(data, self._wanted, self._offset)
        if found:
            self._learn(len(data), walked, slice(begin, begin + len(found)))
        return found

    def _learn(self, size: int, walked: Sequence[tuple[int, int]], place: slice) -> None:
        if len(self._known) >= _MOST_PLACES:
            self._known.clear()
        *others, (length, kind) = walked
        layout = struct.Struct("=" + "".join([f"HH{((n + 3) & ~3) - 4}x" for n, _ in others]) + "HH")
        heads = tuple([number for head in others for number in head])
        self._known[size] = layout, (*heads, length, kind), place


def plain(data: bytes) -> str:
    """A text as the kernel has it, filled up or ended with zeros."""
    return data.rstrip(b"\0").decode(errors="replace")


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in data by number, without the flags for nesting and byte order."""
    found: dict[int, bytes] = {}
    offset, end, unpack = 0, len(data), _ATTRIBUTE.unpack_from
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        behind = offset + length
        if length < 4 or behind > end:
            raise _other_shape(f"an attribute of {length} bytes where {end - offset} are left")
        found[kind & _TYPE] = data[offset + 4 : behind]
        offset = (behind + 3) & ~3
    return found


def chunks(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Messages gathered into batches that fit a socket's buffers."""
    gathered = bytearray()
    for one in messages:
        if gathered and len(gathered) + len(one) > _AT_ONCE:
            yield bytes(gathered)
            gathered.clear()
        gathered += one
    if gathered:
        yield bytes(gathered)


def _answer(body: bytes, flags: int, index: int) -> NetlinkError | None:
    """An NLMSG_ERROR's or NLMSG_DONE's body: None for success, else the errno with the kernel's own words."""
    if len(body) < _CODE.size:
        raise _other_shape(f"an answer of {len(body)} bytes")
    (code,) = _CODE.unpack_from(body)
    if code >= 0:
        return None
    return NetlinkError(-code, _reason(body, flags) if flags & _ACK_TLVS else "", index)


def _reason(body: bytes, flags: int) -> str:
    """The kernel's own words.

    The refused message's header stands between the code and them; its payload only when not capped.
    """
    with KNOWN_SHAPE:
        (length,) = struct.unpack_from("=I", body, 4)
        skip = 4 + (_HEADER.size if flags & _ACK_CAPPED else (length + 3) & ~3)
        return plain(attributes(body[skip:]).get(1, b""))
