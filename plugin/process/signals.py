"""A wish to end in (a signal, or whatever a thread's watch says); a CniError at the next good place to stop out.

An exception raised wherever a signal happens to arrive would break what can't be broken, such as the start of a
thread. So the handler only takes a note, and ADD looks at it between its steps; DEL goes on to its end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from calico_rkt.plugin.errors import CniError, Code

_asked: list[int] = []
_HERE = threading.local()


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def let_through() -> None:
    """They end this process as any that has done nothing yet: the launcher has held them back up to here."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def listen() -> None:
    """Take note of the signals that ask a program to end, instead of dying of them; what nohup ignores stays so.

    The launcher has held them back up to here.
    """
    for asked in _SIGNALS:
        if signal.getsignal(asked) != signal.SIG_IGN:
            signal.signal(asked, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def listen_no_more() -> None:
    """Nothing ends this process but its own end: Python gives up handlers of ours before it is over, not this one."""
    for asked in _SIGNALS:
        signal.signal(asked, signal.SIG_IGN)


def _note(signum: int, _frame: FrameType | None) -> None:
    _asked.append(signum)


class watched:  # noqa: N801 - used as a function: a generator in its place takes longer, at every call
    """Ask `reason` at each step of this thread, too: the words why it has to stop, or none."""

    def __init__(self, reason: Callable[[], str]) -> None:
        self._reason = reason

    def __enter__(self) -> None:
        _HERE.reason = self._reason

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _HERE.reason = None


@contextmanager
def undoing() -> Iterator[None]:
    """What this thread does now goes on to its end, whoever asks it to stop."""
    before, _HERE.undoing = getattr(_HERE, "undoing", False), True
    try:
        yield
    finally:
        _HERE.undoing = before


def stop_if_asked() -> None:
    """CniError 11 once a signal has come or the watch says so; what was begun undoes itself then."""
    words = "" if getattr(_HERE, "undoing", False) else _why()
    if words:
        raise CniError(Code.TRY_AGAIN, words)


def is_undoing_in_haste() -> bool:
    """Whether this thread takes something back because it was asked to end: it can't wait for ever for others."""
    return getattr(_HERE, "undoing", False) and bool(_why())


def _why() -> str:
    if _asked:
        return f"ended by signal {signal.Signals(_asked[0]).name}"
    reason: Callable[[], str] | None = getattr(_HERE, "reason", None)
    return reason() if reason else ""
