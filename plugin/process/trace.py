"""Names of steps that are over in, how long each took out; costs next to nothing where nobody collects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from operator import sub
from time import perf_counter
from types import TracebackType

Phases = tuple[tuple[str, float], ...]
"""Names of steps in their order, and seconds that each took."""

_HERE = threading.local()


def mark(name: str) -> None:
    """Say that what this thread did since the last mark was `name`."""
    marks: list[tuple[str, float]] | None = getattr(_HERE, "marks", None)
    if marks is not None:
        marks.append((name, perf_counter()))


class collecting:  # noqa: N801 - used as a function: a generator in its place takes longer, at every call
    """Collect this thread's marks; what is given says them, as often as it is asked, also later."""

    def __enter__(self) -> Callable[[], Phases]:
        marks = [("", perf_counter())]
        _HERE.marks = marks

        def phases() -> Phases:
            names, times = zip(*marks, strict=True)
            spent = tuple(zip(names[1:], map(sub, times[1:], times), strict=False))
            return spent if len({*names}) == len(names) else _joined(spent)

        return phases

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _HERE.marks = None


def _joined(spent: Phases) -> Phases:
    """Steps that were done more than once as one."""
    found: dict[str, float] = {}
    for name, seconds in spent:
        found[name] = found.get(name, 0.0) + seconds
    return tuple(found.items())


def table(phases: Phases) -> str:
    """For people: a line a step, in milliseconds, and their sum."""
    lines = [f"{seconds * 1e3:9.3f} ms  {name}" for name, seconds in phases]
    return "\n".join([*lines, f"{sum(s for _, s in phases) * 1e3:9.3f} ms  in all"]) + "\n"
