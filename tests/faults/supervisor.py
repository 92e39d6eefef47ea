"""A program in, each effect of it (threads and children too) told, and let through, failed or ended at, out.

The kernel holds a filtered system call until this end says what becomes of it: so effects have one order, whatever
thread they come from, and "SIGKILL before effect N" is exactly that.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import wire
from tests.faults.effects import (
    BY_ARGUMENT,
    CHILD,
    HARMLESS,
    LOST,
    MESSAGES,
    NAMES,
    NUMBERS,
    OF_A_CHILD,
    REFUSED,
    SHORT,
    normal,
)

_PROGRAM = Path(__file__).parent / "programs" / "watched.py"
_NOTICE, _ANSWER = struct.Struct("=QII iIQ6Q"), struct.Struct("=QqiI")
_RECEIVE, _SEND, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104
_SYNC_WAKE_UP = struct.pack("=Q", 1)
_CONTINUE = 1
_PIDFD_OPEN, _PIDFD_GETFD, _OF_A_THREAD = 434, 438, os.O_EXCL
_LIBC = ctypes.CDLL(None, use_errno=True)
KILL, STOP = "kill", "stop"
SECONDS_TO_END = 20.0
"""For what a program that was ended has left running."""
_FAMILIES = {16: "netlink", 1: "unix", 2: "inet", 10: "inet"}
_ROUTE, _NETFILTER = 0, 12
_SUBSYSTEMS = {0: "batch", 10: "nft", 1: "ctnetlink", 2: "ctnetlink-exp"}


@dataclass
class Plan:
    """What to do at the effect of that number, or the next of that kind: KILL, STOP (until goes_on()), an error, or a
    word of effects.py."""

    at: int = -1
    act: int | str = KILL
    kind: str = ""

    def may_meet(self, at: int) -> bool:
        """Whether it matters of what kind the effect of that number is."""
        return 0 <= self.at <= at

    def meets(self, at: int, kind: str) -> bool:
        return self.may_meet(at) and (kind == self.kind or (not self.kind and at == self.at))


@dataclass
class Watch:
    """What has been seen since the last begin()."""

    kinds: list[str] = field(default_factory=list)
    """One each, "" where a plan did not have to know."""
    done: str = ""
    """The kind of the effect at which the plan was carried out."""


class Supervisor:
    """The other end of one program's filter. begin() starts to count, with a plan; seen() ends that."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._listener = -1
        self._stop_r, self._stop_w = os.pipe()
        self._lock = threading.Lock()
        self._counting = False
        self._plan, self._watch = Plan(), Watch()
        self._first, self._asked = 0, ""
        self._over = threading.Event()
        self._held: tuple[int, int] | None = None
        """The effect that is held, and the thread that asks for it."""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def command(self, *argv: str) -> list[str]:
        """What runs argv watched; the caller hands passed() on to it, and calls taken() when it is started."""
        harmless = ",".join(str(NUMBERS[name]) for name in sorted(HARMLESS))
        partly = ";".join(",".join(map(str, (NUMBERS[n], arg, bits, *values))) for n, arg, bits, values in BY_ARGUMENT)
        fd = str(self._there.fileno())
        return ["/usr/bin/python3", "-IS", str(_PROGRAM), fd, harmless, partly, *argv]

    def passed(self) -> tuple[int, ...]:
        return (self._there.fileno(),)

    def taken(self) -> None:
        """Wait until the program's filter stands, and serve it from then on."""
        self._there.close()
        self._here.settimeout(60)
        _, control, _, _ = self._here.recvmsg(1, socket.CMSG_SPACE(4))
        assert control, "the program could not be watched"
        (self._listener,) = array.array("i", control[0][2])
        with contextlib.suppress(OSError):  # Linux 6.6: who is held and who decides take turns on one processor
            fcntl.ioctl(self._listener, _SET_FLAGS, _SYNC_WAKE_UP)
        self._thread.start()
        self._here.send(b"x")

    def begin(self, plan: Plan | None = None) -> None:
        with self._lock:
            self._plan, self._watch, self._counting = plan or Plan(), Watch(), True

    def seen(self) -> Watch:
        with self._lock:
            self._counting = False
            return self._watch

    def seen_one(self) -> bool:
        """Whether the plan has been carried out."""
        with self._lock:
            return bool(self._watch.done)

    def goes_on(self, *, kill: bool) -> None:
        """Who was stopped goes on with its effect, or is ended before it."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            for one in {self._first, held[1]}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL if kill else signal.SIGCONT)
            if not kill:
                self._answer(held[0], 0, 0, _CONTINUE)

    def close(self) -> None:
        """The program has ended, or its effects fail from here on; what it started may end first."""
        if self._listener >= 0:
            self._over.wait(SECONDS_TO_END)
            os.write(self._stop_w, b"x")
            self._thread.join(60)
            os.close(self._listener)
        for fd in (self._stop_r, self._stop_w):
            os.close(fd)
        self._here.close()
        self._there.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._stop_r, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._stop_r in ready:
                return
            if ready.get(self._listener, 0) & select.POLLIN:
                self._serve()
            elif self._listener in ready:  # nobody has the filter any more
                poll.unregister(self._listener)
                self._over.set()

    def _serve(self) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
        except OSError as e:
            if e.errno in (errno.ENOENT, errno.EINTR):  # it was ended meanwhile
                return
            raise
        ident, thread, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        call = _Call(thread, NAMES.get(number, f"call{number}"), arguments)
        value, error, flags = 0, 0, _CONTINUE
        self._first = self._first or call.process()
        with self._lock:
            if self._counting:
                act = self._counted(call)
                if act == KILL:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self._first, signal.SIGKILL)
                    if call.process() == self._first:
                        return
                elif act == CHILD:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(thread, signal.SIGKILL)
                    return
                elif act == STOP:
                    self._held = ident, thread
                    for one in {thread, self._first}:
                        os.kill(one, signal.SIGSTOP)
                    return
                elif act == REFUSED:
                    call.spoil()
                elif isinstance(act, int):
                    error, flags = -act, 0
                elif act:
                    value, error = call.carried_out(act, self._asked)
                    flags = 0
        self._answer(ident, value, error, flags)

    def _answer(self, ident: int, value: int, error: int, flags: int) -> None:
        try:
            fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(ident, value, error, flags))
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise

    def _counted(self, call: _Call) -> int | str:
        """Take note of an effect; what is to be done at it, "" where nothing is."""
        kinds, plan = self._watch.kinds, self._plan
        if (self._watch.done or not plan.may_meet(len(kinds))) and plan.at >= 0:
            kinds.append("")
            return ""
        kind = call.kind()
        if call.process() != self._first:
            kind = OF_A_CHILD + kind
        kinds.append(kind)
        if " http " in kind:
            self._asked = kind
        if not plan.meets(len(kinds) - 1, kind):
            return ""
        self._watch.done = kind
        return plan.act


@dataclass
class _Call:
    """One system call of a thread that is held."""

    thread: int
    name: str
    arguments: Sequence[int]

    def kind(self) -> str:
        """Its name, and what it is about without what differs from run to run."""
        with contextlib.suppress(OSError):
            return " ".join(filter(None, (self.name, self._about())))
        return self.name

    def process(self) -> int:
        """The one whose thread it is; the thread itself where that has ended."""
        with contextlib.suppress(OSError):
            return int(Path(f"/proc/{self.thread}/status").read_text().partition("Tgid:")[2].split()[0])
        return self.thread

    def _about(self) -> str:
        first, second = self.arguments[0], self.arguments[1]
        if self.name in ("openat", "mkdirat", "unlinkat", "renameat", "renameat2", "linkat"):
            return normal(self._text(second))
        if self.name in ("mkdir", "unlink", "rename", "link", "chmod", "rmdir", "open", "symlink"):
            return normal(self._text(first))
        if self.name == "socket":
            return _FAMILIES.get(first, str(first))
        if self.name in ("sendto", "sendmsg"):
            return self._sent()
        if self.name in ("recvfrom", "recvmsg"):
            with self._own_socket() as own:
                if wire.is_stream(own):
                    return "http peek" if self.arguments[3] & socket.MSG_PEEK else "http"
                return _FAMILIES.get(own.family, str(own.family))
        if self.name == "connect":
            with self._own_socket() as own:
                return "http" if wire.is_stream(own) else _FAMILIES.get(own.family, str(own.family))
        if self.name in ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "flock", "fcntl", "fchmod", "writev"):
            target = normal(str(Path(f"/proc/{self.thread}/fd/{first & 0xFFFFFFFF}").readlink()))
            return target.partition(":")[0]
        return ""

    def _sent(self) -> str:
        with self._own_socket() as own:
            family = _FAMILIES.get(own.family, str(own.family))
            if wire.is_stream(own):
                return wire.asked(self.data())
            if family != "netlink":
                return family
            types = [struct.unpack_from("=H", m, 4)[0] for m in self._messages()]
            if own.proto == _ROUTE:
                return " ".join(("route", *dict.fromkeys(MESSAGES.get(t, str(t)) for t in types)))
            if own.proto == _NETFILTER:
                parts = {_SUBSYSTEMS.get(t >> 8, str(t >> 8)) for t in types} - {"batch"}
                return " ".join((*sorted(parts), *dict.fromkeys(str(t & 0xFF) for t in types if t >> 8)))
            return f"netlink{own.proto}"

    def _messages(self) -> list[bytes]:
        found, data = [], self.data()
        while len(data) >= 16:
            (length,) = struct.unpack_from("=I", data)
            if length < 16:
                break
            found.append(data[:length])
            data = data[(length + 3) & ~3 :]
        return found

    def _parts(self) -> list[tuple[int, int]]:
        """Where what is to be sent or written is."""
        if self.name in ("sendto", "write", "pwrite64"):
            return [(self.arguments[1], self.arguments[2])]
        header = self._memory(self.arguments[1], 56)
        vectors, count = struct.unpack_from("=QQ", header, 16)
        text = self._memory(vectors, 16 * count)
        return [struct.unpack_from("=QQ", text, 16 * i) for i in range(count)]

    def data(self) -> bytes:
        return b"".join(self._memory(place, size) for place, size in self._parts())

    def carried_out(self, act: str, asked: str) -> tuple[int, int]:
        """What the program gets of a call that is done in its stead: a number, or an error below 0."""
        if act == SHORT:
            return self.half(), 0
        if act == LOST:
            return len(self.data()), 0
        with self._own_socket() as own:
            given = wire.answer(own, act, asked)
        if given is None:
            return 0, -errno.ECONNRESET
        given = given[: self.arguments[2]]
        with Path(f"/proc/{self.thread}/mem").open("r+b", buffering=0) as memory:
            memory.seek(self.arguments[1])
            memory.write(given)
        return len(given), 0

    def half(self) -> int:
        """Write half of it in the program's stead; how much that was."""
        place, size = self._parts()[0]
        part = self._memory(place, max(1, size // 2))
        fd = self._descriptor(self.arguments[0])
        try:
            return os.pwrite(fd, part, self.arguments[3]) if self.name == "pwrite64" else os.write(fd, part)
        finally:
            os.close(fd)

    def spoil(self) -> None:
        """Make the last message with a change in it one that the kernel refuses: by a type that there is none of."""
        position, place = 0, -1
        for message in self._messages():
            (kind,) = struct.unpack_from("=H", message, 4)
            if not (kind in (16, 17) and kind >> 8 == 0 and self._is_netfilter()):  # the batch's own begin and end
                place = position + 4
            position += (len(message) + 3) & ~3
        assert place >= 0
        kind = b"\xff" if self._is_netfilter() else b"\xfe\x0f"
        for base, size in self._parts():
            if place < size:
                with Path(f"/proc/{self.thread}/mem").open("r+b", buffering=0) as memory:
                    memory.seek(base + place)
                    memory.write(kind)
                return
            place -= size

    def _is_netfilter(self) -> bool:
        with self._own_socket() as own:
            return own.proto == _NETFILTER

    def _memory(self, place: int, size: int) -> bytes:
        with Path(f"/proc/{self.thread}/mem").open("rb", buffering=0) as memory:
            memory.seek(place)
            return memory.read(size)

    def _text(self, place: int) -> str:
        found = b""
        while b"\0" not in found and len(found) < 4096:
            found += self._memory(place + len(found), min(256, 4096 - (place + len(found)) % 4096))
        return found.partition(b"\0")[0].decode(errors="replace")

    def _own_socket(self) -> socket.socket:
        return socket.socket(fileno=self._descriptor(self.arguments[0]))

    def _descriptor(self, number: int) -> int:
        """The program's descriptor as one of ours."""
        process = _LIBC.syscall(_PIDFD_OPEN, self.thread, _OF_A_THREAD)
        if process < 0:
            raise OSError(ctypes.get_errno(), "pidfd_open")
        try:
            fd = int(_LIBC.syscall(_PIDFD_GETFD, process, number & 0xFFFFFFFF, 0))
        finally:
            os.close(process)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        return fd
