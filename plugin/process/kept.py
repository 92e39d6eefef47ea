"""A function of one value in; the same function, which does its work once for each of the last few values, out.

A runtime sends the same conf for every container of a network, and a warm process has read it into the same object.
"""

from __future__ import annotations

from collections.abc import Callable

from calico_rkt.compiler.typed import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST = 32


def kept(function: Callable[[T], R]) -> Callable[[T], R]:
    """By what the value is, not by what it equals: to hash a conf takes longer than most that is made of it."""
    known: dict[int, tuple[T, R]] = {}

    def found(value: T) -> R:
        there = known.get(id(value))
        if there is not None and there[0] is value:
            return there[1]
        result = function(value)
        if len(known) >= _MOST:
            known.clear()
        known[id(value)] = value, result
        return result

    return found
