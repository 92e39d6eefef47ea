"""A level's name in, a logger out that writes to a file and to stderr, never to stdout.

A process does one call, or, as the agent, many at once: then each thread has a level of its own, and what a call
should say on stderr goes to whoever asked for it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from calico_rkt.compiler import atomic
from calico_rkt.compiler.typed import Any
from calico_rkt.plugin.process import streams

DEFAULT_FILE = "/var/log/calico-rkt/calico-rkt.log"

_HERE = threading.local()
_SAYING = logging.Formatter("calico: %(levelname)s: %(message)s")
_shared: list[logging.Handler] = []
_shared_file: list[_Watched] = []
_process = os.getpid()


class _Log(logging.Logger):
    """A logger that makes no record of a line which is for the file alone: each ADD has two of them."""

    def info(self, msg: object, *args: object, **more: Any) -> None:
        if not _shared_file or more:
            super().info(msg, *args, **more)
        elif getattr(_HERE, "level", logging.INFO) <= logging.INFO:
            with suppress(TypeError, ValueError):  # arguments that don't fit their line fail no call
                _shared_file[0].say("INFO", str(msg) % args if args else str(msg))


def _logger() -> logging.Logger:
    usual = logging.getLoggerClass()
    logging.setLoggerClass(_Log)
    try:
        return logging.getLogger("calico-rkt")
    finally:
        logging.setLoggerClass(usual)


LOG = _logger()


def log_file() -> Path:
    """Where lines are written."""
    return Path(os.environ.get("CALICO_RKT_LOG") or DEFAULT_FILE)


def open_log(level: str) -> None:
    """Start logging; a log file that can not be written (CALICO_RKT_LOG names another) leaves stderr alone."""
    number = logging.getLevelName(level.upper())
    if _shared:
        _HERE.level = number
        return
    LOG.setLevel(number)
    _set_up(logging.FileHandler, _ToStderr())


def share_log() -> None:
    """Start logging for many calls at once: open_log() then sets its thread's level only."""
    LOG.setLevel(logging.DEBUG)
    _shared.append(_ToCaller())
    _set_up(_Watched, _shared[0])
    _shared_file[:] = [handler for handler in LOG.handlers if isinstance(handler, _Watched)]
    LOG.addFilter(_is_wanted)


class said_to_caller:  # noqa: N801 - used as a function, which takes longer, at every call
    """Collect what this thread's call says on stderr, for a function that is given; for the time after share_log()."""

    def __enter__(self) -> Callable[[], str]:
        said: list[str] = []
        _HERE.said, _HERE.level = said, logging.INFO
        return lambda: "".join(said)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        behind: list[str] | None = getattr(_HERE, "behind", None)
        _HERE.said, _HERE.level, _HERE.behind = None, logging.INFO, None
        if behind:
            for file in _shared_file:
                file.put("".join(behind))


def answered() -> None:
    """Say that this thread's call is answered: what else it says is written to the file in one piece, at its end."""
    _HERE.behind = []


class _Watched(logging.Handler):
    """The file at a path, looked at before each write: logrotate moves it away under a process that lives long.

    Its folder may go, too. A line that can't be written is lost, and no call fails for it.
    """

    def __init__(self, path: Path, encoding: str, errors: str) -> None:
        super().__init__()
        self._path, self._place, self._coding = path, str(path), (encoding, errors)
        self._fd, self._identity = -1, (0, 0)

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(TypeError, ValueError):  # as above
            self._take(f"{self.format(record)}\n")

    def say(self, level: str, words: str) -> None:
        """A line of now."""
        self._take(f"{_stamp(time.time())} {_process} {level} {words}\n")

    def _take(self, line: str) -> None:
        behind: list[str] | None = getattr(_HERE, "behind", None)
        if behind is None:
            self.put(line)
        else:
            behind.append(line)

    def put(self, lines: str) -> None:
        """Write lines that are formatted already."""
        self.acquire()
        try:
            self._write(lines)
        finally:
            self.release()

    def _write(self, lines: str) -> None:
        with suppress(OSError, ValueError):
            try:
                found = os.stat(self._place)  # noqa: PTH116 - each time
            except FileNotFoundError:
                atomic.make_folder(self._path.parent, 0o755)
                found = None
            if found is None or (found.st_dev, found.st_ino) != self._identity:
                self._open()
            os.write(self._fd, lines.encode(*self._coding))

    def _open(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._fd = os.open(self._place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino


def _set_up(file: type[logging.FileHandler | _Watched], to_stderr: logging.Handler) -> None:
    LOG.propagate = False
    # No line says where it was made, by which thread or process of many, and each record would ask.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None  # noqa: SLF001 - as the logging HOWTO has it
    logging.raiseExceptions = False  # a full disk under the log must not write tracebacks to stderr
    LOG.handlers.clear()
    path = log_file()
    try:
        atomic.make_folder(path.parent, 0o755)
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640))  # whatever the umask
        to_file = file(path, encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(_Line("%(asctime)s %(process)d %(levelname)s %(message)s"))
        LOG.addHandler(to_file)
    except OSError as e:
        streams.warn(f"calico: no log file: {e.strerror or e}: {path}\n")
    to_stderr.setLevel(logging.WARNING)
    to_stderr.setFormatter(_SAYING)
    LOG.addHandler(to_stderr)


class _Line(logging.Formatter):
    """A line of the file."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info:
            record.process = _process
            return super().format(record)
        return f"{_stamp(record.created)} {_process} {record.levelname} {record.getMessage()}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return _stamp(record.created)


def _stamp(now: float) -> str:
    """A moment as the file has it; what is the same for all of a second is made once for it."""
    second = int(now)
    return f"{_text_of(second)},{int((now - second) * 1000):03d}"


@lru_cache(maxsize=1)
def _text_of(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= getattr(_HERE, "level", logging.INFO)


class _ToStderr(logging.Handler):
    """stderr of this process: a call may hold locks while it says something, so it waits for no reader."""

    def emit(self, record: logging.LogRecord) -> None:
        streams.warn(self.format(record) + "\n")


class _ToCaller(logging.Handler):
    """stderr of the call that a thread is busy with; the process's own where it is busy with none."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record) + "\n"
        said: list[str] | None = getattr(_HERE, "said", None)
        if said is not None:
            said.append(line)
        else:
            streams.warn(line)


def _forked() -> None:
    global _process  # noqa: PLW0603 - a fork's lines say so
    _process = os.getpid()


os.register_at_fork(after_in_child=_forked)
logging.lastResort = _ToStderr(logging.WARNING)  # what is said before open_log()
logging.lastResort.setFormatter(_SAYING)
