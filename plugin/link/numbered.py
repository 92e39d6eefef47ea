"""An encoding of netlink messages in; batches of them, which get their numbers where they are sent, out.

Of a batch whose like was sent before nothing is encoded anew, nor looked through for its messages: what differs is put
into its bytes, and so are the numbers (shapes.py).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Hashable, Sequence

from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.link.shapes import Shape

REQUEST, ACK = 0x1, 0x4
STEP = 256
"""What the first number of a batch is a multiple of: so many messages at most get their numbers by a shape."""

HEADER = struct.Struct("=IHHII")
"""nlmsghdr (linux/netlink.h): length, kind, flags, number, and the sender, which the kernel fills in."""
_MOST = 256
_STAMP = slice(1, 4) if sys.byteorder == "little" else slice(0, 3)
"""Which bytes of a number are the same for all of a batch."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages in a row. questions: so many of the last ones; each of them is answered, whatever becomes of it.

    acknowledged: which one is answered also where it is done, counted from the end, 1 for the last one; 0 for none.
    """

    data: bytes
    questions: int = 0
    acknowledged: int = 1


Encode = Callable[[Sequence[bytes]], Messages]


@dataclass(frozen=True, slots=True)
class _Form:
    """What batches of one kind have in common; those that are too long have no shape."""

    shape: Shape | None
    count: int
    questions: int


class Batch:
    """The messages of one send."""

    __slots__ = ("_encode", "_form", "_values")

    def __init__(self, encode: Encode, values: Sequence[bytes], form: _Form | None = None) -> None:
        self._encode, self._values, self._form = encode, values, form

    def numbered(self, first: int) -> tuple[bytes | bytearray, int, int]:
        """The bytes, with numbers from first on, a multiple of STEP; how many messages, how many of them questions."""
        form = self._form
        if form is None or form.shape is None:
            messages = self._encode(self._values)
            return *numbered(messages, first), messages.questions
        stamp = first.to_bytes(4, sys.byteorder)[_STAMP]
        return form.shape.filled([stamp, *self._values]), form.count, form.questions


class Batches:
    """The batches of one kind by what their bytes depend on; a shape is made when one is wanted a second time.

    A process that does one call encodes once, as if there were none. Any thread may ask.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, _Form | None] = {}

    def batch(self, key: Hashable, encode: Encode, values: Sequence[bytes]) -> Batch:
        """What encode() makes of values; key is all that it depends on beside them."""
        kind = key, *map(len, values)
        form = self._known.get(kind)
        if form is None:
            if kind not in self._known:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[kind] = None
            else:
                form = self._known[kind] = _form(encode, values)
        return Batch(encode, values, form)


def _form(encode: Encode, values: Sequence[bytes]) -> _Form:
    messages = encode(values)
    _, count = numbered(messages, 0)
    if count > STEP:
        return _Form(None, count, messages.questions)

    def with_numbers(given: Sequence[bytes]) -> bytes:
        stamp, *others = given
        first = int.from_bytes(stamp + b"\0" if _STAMP.start == 0 else b"\0" + stamp, sys.byteorder)
        return bytes(numbered(encode(others), first)[0])

    return _Form(Shape(with_numbers, [3, *map(len, values)]), count, messages.questions)


def numbered(messages: Messages, first: int) -> tuple[bytearray, int]:
    """The messages with numbers from first on; how many they are.

    The kernel does them in order, and tells of each one that it refuses.
    """
    data, places = bytearray(messages.data), list[int]()
    offset = 0
    while offset < len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        HEADER.pack_into(data, offset, length, kind, flags & ~ACK | REQUEST, first + len(places), 0)
        places.append(offset)
        offset += (length + 3) & ~3
    if messages.acknowledged and messages.acknowledged <= len(places):
        data[places[-messages.acknowledged] + 6 + (sys.byteorder == "big")] |= ACK
    return data, len(places)
