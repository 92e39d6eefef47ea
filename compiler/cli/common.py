"""What every command shares: how it ends, what it prints where, and how a file is written."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import sys
from collections.abc import Callable, Iterable
from errno import ENOENT
from pathlib import Path

from calico_rkt.compiler.cli.formats import FORMATS, render_as
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic

MACHINE = ("json", "sarif")
"""Formats in which what is printed is one document, whatever happened."""


def guarded(program: str, action: Callable[[], int], style: str = "text") -> int:
    """Run the action; its exit status, or 2 for what can't be read or written, 130 for Ctrl-C.

    Errors of the input are printed in the style: on stderr, in a machine's format on stdout as the document.
    """
    gc.disable()  # one process, one answer: what is read stays in use, and looking for cycles in it costs half the time
    if sys.stderr is None:  # closed by the caller; print() would fall back to stdout
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    if sys.stdout is None:
        print(f"{program}: stdout is closed", file=sys.stderr)
        return 2
    try:
        try:
            return action()
        except CompileError as e:
            report(e.diagnostics, style)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone; stdout's flush at exit must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as e:
        where = f"{e.filename}: " if e.filename else "the output can't be written: "
        print(f"{program}: {where}{e.strerror or e}", file=sys.stderr)
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 2


def report(diagnostics: Iterable[Diagnostic], style: str) -> None:
    """Print what is wrong with the input."""
    found = tuple(dict.fromkeys(diagnostics))
    if style in MACHINE:
        write(render_as(style, found, colour=False))
    else:
        sys.stderr.write(render_as("text", found, colour=coloured(sys.stderr)))


def coloured(stream: object) -> bool:
    """Whether colour belongs on a stream: on a terminal, where nobody asked for none (no-color.org)."""
    isatty = getattr(stream, "isatty", lambda: False)
    return bool(isatty()) and not os.environ.get("NO_COLOR")


def write(text: str) -> None:
    """Text to stdout as UTF-8, whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def write_file(name: str, text: str) -> None:
    """Put text into a file, whole or not at all; a pipe or a device is written to as it is."""
    path = Path(os.path.realpath(name))
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, "there is no such folder", str(path.parent))
    try:
        with fresh.open("x", encoding="utf-8") as stream:
            if path.exists():
                os.fchmod(stream.fileno(), stat.S_IMODE(path.stat().st_mode))
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


__all__ = ["FORMATS", "MACHINE", "coloured", "guarded", "report", "write", "write_file"]
