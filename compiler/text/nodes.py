"""Bytes in, values with the place of each out: scalars keep their own text, nothing is guessed."""

from __future__ import annotations

import re
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from itertools import islice

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Span, error
from calico_rkt.compiler.typed import Any, Protocol
from calico_rkt.compiler.values import dataclass, field

LARGEST = 8 * 1024 * 1024
"""Bytes of one file."""
DEEPEST = 64
"""Lists and mappings in each other."""
MOST_REPORTED = 20
"""Problems of one kind in one file that are listed."""

# Whatever an editor shows as nothing or as something else: control characters, line breaks that only some
# programs count, the BOM, marks that reorder a line on the reviewer's screen, and letters that have no shape.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\uffff\U000e0000-\U000e007f]|\r(?!\n)"
)
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


class Places(Protocol):
    """Who knows the text of a file, and makes the span from a reader's own marks of a beginning and an end."""

    def span(self, start: Any, end: Any, /) -> Span: ...


Place = Span | tuple[Places, Any, Any]
"""A span, or what it is made of when somebody asks: of most values in a file nobody does."""


def _span(place: Place) -> Span:
    return place if isinstance(place, Span) else place[0].span(place[1], place[2])


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word, number or quoted string; plain is False where it stood in quotes. Equality ignores the place."""

    text: str
    plain: bool
    place: Place = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        return _span(self.place)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list; the span covers its first line."""

    items: tuple[Node, ...]
    place: Place = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        return _span(self.place)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file, each key once; the span covers its first line."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        return _span(self.place)

    def get(self, key: str) -> Node | None:
        """The value of the key, None where it is missing."""
        return next((value for k, value in self.entries if k.text == key), None)


Node = Scalar | Sequence | Mapping


def is_null(node: Node) -> bool:
    """Whether this is YAML's null: nothing, ~ or null, not in quotes."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


def decode(path: str, data: bytes, largest: int = LARGEST) -> str:
    """The text of a file in UTF-8 without BOM, hidden characters, or more than largest bytes (CompileError)."""
    if len(data) > largest:
        raise CompileError(
            [error("CR101", f"the file has more than {largest:,} bytes, and no more are read", path=path)]
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CompileError([error("CR103", "the file is UTF-16, not UTF-8", path=path, hint="save it as UTF-8")])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        before = data[: e.start].decode("utf-8")
        line = before + data[e.start :].split(b"\n", 1)[0].decode("utf-8", "backslashreplace")
        raise CompileError(
            [
                error(
                    "CR102",
                    f"not UTF-8: the byte 0x{data[e.start]:02x} begins no character here",
                    span_at(path, line, len(before), len(before) + 4),
                    hint="save the file as UTF-8",
                )
            ]
        ) from None
    if text.startswith("\ufeff"):
        message = "the file begins with a byte order mark, which other readers (rkt among them) refuse"
        hint = "save it as UTF-8 without BOM"
        raise CompileError([error("CR103", message, span_at(path, text, 0, 1), hint=hint)])
    hidden = [_hidden(path, text, m.start()) for m in islice(_HIDDEN.finditer(text), MOST_REPORTED)]
    if hidden:
        raise CompileError(hidden)
    return text


def span_at(path: str, text: str, start: int, end: int) -> Span:
    """The place of text[start:end], cut at the end of its first line."""
    line = text.count("\n", 0, start) + 1
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    stop = len(text) if stop < 0 else stop
    shown = text[begin:stop].removesuffix("\r")
    return Span(path, line, start - begin + 1, max(start + 1, min(end, stop)) - begin + 1, shown)


def _hidden(path: str, text: str, at: int) -> Diagnostic:
    name = f"U+{ord(text[at]):04X}"
    message = f"a character that is not shown or reorders the line ({name})"
    hint = "end lines with LF or CRLF" if text[at] == "\r" else "take it out"
    return error("CR104", message, span_at(path, text, at, at + 1), hint=hint)


def cidr_of(text: str) -> IPv4Interface | IPv6Interface | None:
    """Address and prefix length of a CIDR; None for what is none, a zone, a mask or a leading zero included.

    Bits behind the prefix are for the caller to judge.
    """
    _, slash, length = text.partition("/")
    if not slash or "%" in text or not length.isascii() or not length.isdecimal() or str(int(length[:4])) != length:
        return None
    try:
        return ip_interface(text)
    except ValueError:
        return None


def duplicate_key(key: Scalar, first: Scalar) -> Diagnostic:
    """The problem of a key that stands twice in one mapping, at its second place."""
    place = f"line {first.span.line}, column {first.span.column}"
    hint = "keep one of the two: readers differ in which of them counts"
    return error("CR107", f"the key {key.text!r} stands twice; first in {place}", key.span, hint=hint)
