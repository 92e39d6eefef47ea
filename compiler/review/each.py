"""Many things and a function of one in; what it makes of each, when somebody reads it, out: none of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Each(Generic[T, R]):
    """To be read as often as somebody likes; equal to what gives equal items."""

    def __init__(self, of: Collection[T], make: Callable[[T], R]) -> None:
        self._of, self._make = of, make

    def __iter__(self) -> Iterator[R]:
        return map(self._make, self._of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Each) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
