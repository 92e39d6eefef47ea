"""Where to listen in, listening sockets out: handed down by systemd, or made here."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code

NAME = "agent.sock"
BACKLOG = 128
"""Calls that wait for a worker; the launcher does by itself what does not fit in."""
_FIRST = 3  # SD_LISTEN_FDS_START of sd-daemon(3)
_LOCKS: list[int] = []


def listen_in(folder: Path) -> socket.socket:
    """The agent's socket: systemd's where it gives one, else made in the folder, for root alone.

    CniError where another agent listens there.
    """
    handed = _handed_down()
    if handed is not None:
        return handed
    path = folder / NAME
    try:
        atomic.make_folder(folder, 0o700)
        _be_the_only_one(folder)
        return _bound(path)
    except OSError as e:
        raise CniError(Code.IO, f"can not listen at {path}: {e.strerror or e}") from e


def listen_at(where: str) -> socket.socket:
    """A socket for metrics: PORT or ADDRESS:PORT of loopback, or a path."""
    if "/" in where:
        try:
            return _bound(Path(where))
        except OSError as e:
            raise CniError(Code.IO, f"can not listen at {where}: {e.strerror or e}") from e
    host, _, port = where.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if host not in ("127.0.0.1", "::1", "localhost") or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise CniError(Code.INVALID_ENVIRONMENT, f"metrics at {where!r}: a path, a port, or 127.0.0.1:PORT")
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as e:
        raise CniError(Code.IO, f"can not listen at {where}: {e.strerror or e}") from e


def is_handed_down() -> bool:
    """Whether somebody else holds the socket and starts the next agent (sd_listen_fds(3))."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0"


def notify(state: str) -> None:
    """Tell a supervisor that asks for it (sd_notify(3)); nothing else depends on it."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where.startswith(("/", "@")):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.sendto(state.encode(), "\0" + where[1:] if where[0] == "@" else where)


def _handed_down() -> socket.socket | None:
    if not is_handed_down():
        return None
    if os.environ["LISTEN_FDS"] != "1":
        raise CniError(Code.INVALID_ENVIRONMENT, "LISTEN_FDS: exactly one socket is expected")
    os.set_inheritable(_FIRST, False)
    found = socket.socket(fileno=_FIRST)
    if found.family != socket.AF_UNIX or found.type != socket.SOCK_STREAM:
        raise CniError(Code.INVALID_ENVIRONMENT, "LISTEN_FDS: a stream socket in the file system is expected")
    return found


def _be_the_only_one(folder: Path) -> None:
    """Hold a lock for as long as this process lives; a socket that is left from a killed one may then go."""
    fd = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(fd)
        raise CniError(Code.IO, f"another agent serves {folder} already") from e
    _LOCKS.append(fd)


def _bound(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        made.bind(str(fresh))
        fresh.chmod(0o600)
        made.listen(BACKLOG)
        fresh.replace(path)  # nobody ever finds it there without somebody who listens
    except BaseException:
        made.close()
        raise
    return made
