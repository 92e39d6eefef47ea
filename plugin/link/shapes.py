"""An encoding with places for values of fixed sizes in; the bytes for values that differ from call to call out.

What an attach tells the kernel differs from the last attach in a few bytes: a batch is encoded once for each shape of
it, and after that only these bytes are put in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter

_ONE, _TWO = b"\1", b"\2"
_Encode = Callable[[Sequence[bytes]], bytes]


class Shape:
    """What encode() makes of values of these sizes, in bytes; encode() puts each in as it is, as often as it likes."""

    def __init__(self, encode: _Encode, sizes: Sequence[int]) -> None:
        plain = [_ONE * size for size in sizes]
        self._bytes = encode(plain)
        self._places: list[tuple[int, int, int]] = []
        """Where in the bytes, up to where, and which value."""
        for number, size in enumerate(sizes):
            other = encode([_TWO * size if i == number else one for i, one in enumerate(plain)])
            differ = [i for i, (a, b) in enumerate(zip(self._bytes, other, strict=True)) if a != b]
            starts = differ[::size]
            if any(b - a != 1 for start in range(0, len(differ), size) for a, b in pairwise(differ[start:][:size])):
                raise ValueError(f"value {number} is not put in as it is")
            self._places += [(start, start + size, number) for start in starts]
        self._places.sort()
        edges = [0, *[edge for start, end, _ in self._places for edge in (start, end)], len(self._bytes)]
        self._around = b"%b".join(
            self._bytes[a:b].replace(b"%", b"%%") for a, b in zip(edges[::2], edges[1::2], strict=True)
        )
        order = [number for _, _, number in self._places]
        self._in_order: Callable[[Sequence[bytes]], tuple[bytes, ...]] = (
            itemgetter(*order) if len(order) > 1 else lambda values: tuple([values[number] for number in order])
        )
        tried = [bytes(number + i + 3 & 255 for i in range(size)) for number, size in enumerate(sizes)]
        if encode(tried) != self.filled(tried):
            raise ValueError("what is encoded depends on more than the values' bytes")

    def filled(self, values: Sequence[bytes]) -> bytes:
        """The bytes for these values, in the order of their sizes."""
        return self._around % self._in_order(values)
