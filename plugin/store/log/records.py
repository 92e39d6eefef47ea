"""Transactions in, checked records out, and back: how a log of this host's state stands on the disk.

A log is a head, which is one line of text, and records. A record is its length, a check of its body that goes on from
the check of the record before (the first one's from the head's), a check of these two, and the body: lines of ASCII.
Who was ended while it wrote leaves the beginning of a record: it was answered to nobody, and counts for nothing.
Whatever else is not as it was written is damage.
"""

from __future__ import annotations

import re
import struct
from binascii import crc32
from collections.abc import Iterator

_VERSION = b"1"
_NAME = f"calico-rkt-state {_VERSION.decode()}"
_OTHER = re.compile(rb"calico-rkt-state (\d+) ")
_HEAD = struct.Struct("<III")
HEAD_BYTES = len(f"{_NAME} {'0' * 36} {'0' * 8}\n")


class DamagedLogError(Exception):
    """A log says something that nobody has written; in words, without the file's name."""


def head(boot: str) -> bytes:
    """The first line of the log of a boot, named by the kernel's id of it."""
    text = f"{_NAME} {boot:<36}".encode(errors="replace")
    return text + f" {crc32(text):08x}\n".encode()


def read_head(data: bytes) -> str:
    """The boot that a log is of. DamagedLogError where it has no such head."""
    boot = data[len(_NAME) + 1 : HEAD_BYTES - 10].decode("ascii", "replace").rstrip()
    if data[:HEAD_BYTES] == head(boot):
        return boot
    version = _OTHER.match(data)
    if version is not None and version[1] != _VERSION:
        raise DamagedLogError(f"it has version {version[1].decode()}, this program knows {_VERSION.decode()}")
    raise DamagedLogError("it does not begin as a state file of calico-rkt" if data else "it is empty")


def first_check(boot: str) -> int:
    """What the check of the first record goes on from."""
    return crc32(head(boot))


def record(body: bytes, before: int) -> tuple[bytes, int]:
    """A record of these lines as it is written, and what the next one's check goes on from."""
    check = crc32(body, before)
    front = _HEAD.pack(len(body), check, 0)[:8]
    return front + crc32(front, before).to_bytes(4, "little") + body, check


class Reader:
    """Where a reader of a log is: at how many bytes, with which check, and behind how many records."""

    def __init__(self, boot: str) -> None:
        self.at, self.check, self.records = HEAD_BYTES, first_check(boot), 0

    def bodies(self, data: bytes, here: int = 0) -> Iterator[bytes]:
        """The bodies of the whole records in what stands from here on; it goes on behind the last of them.

        here: how many bytes of data are before that.

        DamagedLogError where a record is not as it was written.
        """
        while len(data) - here >= _HEAD.size:
            length, check, of_front = _HEAD.unpack_from(data, here)
            if crc32(data[here : here + 8], self.check) != of_front:
                raise DamagedLogError(f"the record at byte {self.at} is damaged")
            end = here + _HEAD.size + length
            if end > len(data):
                return
            body = data[here + _HEAD.size : end]
            if crc32(body, self.check) != check or not body.isascii():
                raise DamagedLogError(f"the record at byte {self.at} is damaged")
            self.at, self.check, here = self.at + end - here, check, end
            self.records += 1
            yield body
