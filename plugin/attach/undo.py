"""Steps of an attachment in, what takes each of them back; done, the last one first, where an error comes, out."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from calico_rkt.compiler.typed import Self
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.process.unexpected import as_cni_error


class Undo:
    """What takes back the steps that are done, the last one first, where an error comes out of its block."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, Callable[[], object]]] = []

    def note(self, what: str, act: Callable[[], object]) -> None:
        """A step is about to be done, or was: act takes it back, which is said to be what."""
        self._noted.append((what, act))

    def forget(self) -> None:
        """What was done stands."""
        self._noted.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            self._undo()

    def _undo(self) -> None:
        while self._noted:
            try:
                undone(*self._noted.pop())
            finally:
                self._undo()


def undone(what: str, act: Callable[[], object]) -> None:
    """Do what takes a step back, to its end; what goes wrong with it is told in the log alone."""
    try:
        with signals.undoing():
            act()
    except Exception as e:  # noqa: BLE001 - what was begun before it is undone all the same
        error = as_cni_error(e)
        LOG.error("undo: could not %s: %s: %s", what, error.msg, error.details)
