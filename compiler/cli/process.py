"""What every command shares: how it ends, what it prints where, and how a file is written."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal makes enums of all of them first, at each start
import argparse
import contextlib
import gc
import os
import select
import signal
import stat
import sys
from collections.abc import Callable
from errno import EISDIR, ENOENT, EPIPE
from pathlib import Path
from typing import BinaryIO

CALICO = "on a Calico cluster, where Calico's own policies may decide before profiles do; they are not read here"
"""What has to be said of each network that is."""
READER_GONE = 141
"""The exit status where nobody reads the output any more: what a shell says of a program that SIGPIPE (13) ended."""
_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The launcher holds them back until they meet this guard: Ctrl-C before it would be a traceback."""
_ONCE_MORE = 0.01
"""Seconds until what was dropped comes again: its dropping is over then."""


def guarded(program: str, action: Callable[[], int]) -> int:
    """Run the action; its exit status, or 2 where something can't be read or written, 130 for Ctrl-C.

    141 where whoever read the output has gone: neither that there is nothing to say, nor that there are findings.
    """
    gc.disable()  # one process, one answer: what is read stays in use, and looking for cycles in it costs half the time
    with contextlib.suppress(ValueError):  # a thread; else what ignores its children makes us ignore how git ended
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    if sys.stderr is None:  # closed by the caller; print() would fall back to stdout
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    if sys.stdout is None:
        with contextlib.suppress(OSError):
            print(f"{program}: stdout is closed", file=sys.stderr)
        return 2
    sys.unraisablehook = _unraisable
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
        try:
            return action()
        finally:
            sys.stdout.flush()
            gc.freeze()  # nor are they looked for at the end of the process, which Python does even now
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _mute()
        return READER_GONE
    except OSError as e:
        from calico_rkt.compiler.diagnostics import printable

        where = f"{printable(str(e.filename))}: " if e.filename else "the output can't be written: "
        with contextlib.suppress(OSError):
            print(f"{program}: {where}{e.strerror or e}", file=sys.stderr)
    except Exception as e:  # noqa: BLE001 - Python's own status for it is 1, which would say that there are findings
        if _is_interrupt(e):
            return 130
        with contextlib.suppress(OSError):
            import traceback

            traceback.print_exc()
        return 2
    _mute()
    return 2


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it comes of Ctrl-C, which Python raises as a RuntimeError where a class was about to be made."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Ctrl-C at a moment where Python drops every exception, such as within a weak reference's callback: once more."""
    if what.exc_type is KeyboardInterrupt:
        import threading
        from _thread import interrupt_main

        threading.Timer(_ONCE_MORE, interrupt_main).start()
    else:
        sys.__unraisablehook__(what)


def _mute() -> None:
    """Nothing more is said: the flush at exit must not fail a second time."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())


def answered(style: str, action: Callable[[], int]) -> int:
    """Run the action; its exit status, or 2 with what is wrong with the input.

    That is said on stderr; in the formats for diagnostics that are no text on stdout, as the document or in its place.
    """
    # Here, not above: what a command imports is imported under its guard.
    from calico_rkt.compiler.cli.formats.findings import FORMATS, render_as
    from calico_rkt.compiler.diagnostics import CompileError

    try:
        return action()
    except CompileError as e:
        if style in FORMATS and style != "text":
            write_stdout(render_as(style, e.diagnostics, colour=False))
        else:
            sys.stderr.write(render_as("text", e.diagnostics, colour=coloured(sys.stderr)))
        return 2


def folder(text: str) -> Path:
    """A folder as somebody names it on a command line; an empty word, such as an unset variable, names none."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path; . is the current folder")
    return Path(text)


def coloured(stream: object) -> bool:
    """Whether colour belongs on a stream: on a terminal, unless NO_COLOR or FORCE_COLOR says otherwise.

    NO_COLOR is stronger than FORCE_COLOR; each counts where it is not empty (no-color.org, force-color.org).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream, "isatty", lambda: False)
    return bool(isatty()) and os.environ.get("TERM") != "dumb"


def pause(seconds: float) -> None:
    """Wait so long; BrokenPipeError as soon as whoever reads stdout has gone."""
    reader = select.poll()
    reader.register(1, 0)
    if reader.poll(seconds * 1000):
        raise BrokenPipeError(EPIPE, os.strerror(EPIPE))


def read_whole(stream: BinaryIO, most: int) -> bytes:
    """A stream to its end, or so many bytes of it: one that somebody made non-blocking is waited for as any other."""
    data = b""
    while len(data) < most:
        more: bytes | None = stream.read(most - len(data))
        if more is None:
            select.select([stream], [], [])
        elif not more:
            break
        else:
            data += more
    return data


def say_done(words: str) -> None:
    """A line about what was done: on stdout, and on stderr where that can't be written. OSError all the same."""
    from calico_rkt.compiler.diagnostics import printable_lines

    words = printable_lines(words)  # a file's name may hold anything
    try:
        print(words, flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            print(words, file=sys.stderr)
        raise


def write_stdout(text: str) -> None:
    """Text to stdout as UTF-8, whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def write_file(name: str, text: str) -> None:
    """Put text into a file, whole or not at all; a pipe or a device is written to as it is."""
    try:
        if name.endswith("/"):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        _write_whole(Path(os.path.realpath(name)), text)
    except OSError as e:  # named as it was given, not as the file beside it
        raise OSError(e.errno, e.strerror, name) from e


def _write_whole(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, "there is no such folder")
    from calico_rkt.compiler import atomic  # here, not above: most commands write no file

    atomic.replace(path, text.encode(), stat.S_IMODE(path.stat().st_mode) if path.exists() else None)
