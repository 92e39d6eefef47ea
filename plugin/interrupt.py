"""SIGTERM, SIGINT or SIGHUP in; a CniError at the next step that is a good place to stop out.

An exception raised wherever the signal happens to arrive would break what can't be broken, such as the start of a
thread. So the handler only takes a note, and ADD looks at it between its steps; DEL goes on to its end.
"""

from __future__ import annotations

import signal
from types import FrameType

from calico_rkt.plugin.result import CniError, Code

_asked: list[int] = []


def listen() -> None:
    """Take note of the signals that ask a program to end, instead of dying of them."""
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, _note)


def _note(signum: int, _frame: FrameType | None) -> None:
    _asked.append(signum)


def stop_if_asked() -> None:
    """CniError 11 once a signal has come; what was begun undoes itself then."""
    if _asked:
        raise CniError(Code.TRY_AGAIN, f"ended by signal {signal.Signals(_asked[0]).name}")
