"""One launcher's connection in, its call done (or declined) and answered out."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.conf.shape import LARGEST_CONF
from calico_rkt.plugin.agent import wire
from calico_rkt.plugin.agent.metrics import Metrics
from calico_rkt.plugin.agent.wire import BrokenCallError, Call, Place
from calico_rkt.plugin.attach import ipam_plugin
from calico_rkt.plugin.calls import call as calls
from calico_rkt.plugin.calls.call import DeclinedError
from calico_rkt.plugin.cni.request import COMMANDS, Request
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import signals, trace
from calico_rkt.plugin.process.log import LOG, answered, said_to_caller
from calico_rkt.plugin.process.trace import Phases

DEADLINE = 60.0
"""Seconds after which an ADD that is not done is taken back. The launcher waits for longer."""
_TO_CONFIRM = 10.0
"""Seconds for the word that the runtime has its answer."""
_BELIEVED = 4
"""So often a launcher that was told TAKEN is not looked for: a plain ADD is over then, and its answer finds out."""
_PEER = struct.Struct("=iII")
_TRUSTED = (0, os.geteuid())
_OURS = ("CALICO_", "ETCD_")
"""Variables that decide where state and datastore are: a call with others than the agent's is not for it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an agent is, for a launcher to find itself in the same place: see Call."""

    build: str
    places: tuple[Place, Place, Place]
    environ: Mapping[str, str]

    @classmethod
    def own(cls, build: str) -> Identity:
        found = [os.stat(p) for p in ("/proc/self/ns/net", "/proc/self/ns/mnt", "/")]  # noqa: PTH116 - as it is, quick
        net, mount, root = ((s.st_dev, s.st_ino) for s in found)
        return cls(build, (net, mount, root), _of_place(os.environ))


class Conversation:
    """One connection, from its call to its end.

    stopping says why a call has to stop early, or nothing; over is told the conf of a call that was done.
    """

    def __init__(
        self,
        connection: socket.socket,
        own: Identity,
        metrics: Metrics,
        stopping: Callable[[], str] = str,
        over: Callable[[NetConf], object] = id,
    ) -> None:
        self._connection, self._own, self._metrics = connection, own, metrics
        self._stopping, self._over = stopping, over
        self._conf: NetConf | None = None
        self._until = time.monotonic() + DEADLINE
        self._believed, self._gone = 0, False
        self._answered = False
        self._code = 0

    def hold(self) -> None:
        """Read the call, do it or decline it."""
        if not self._is_trusted():
            return
        begun = time.perf_counter()
        try:
            call = wire.receive(self._connection)
        except BrokenCallError as e:
            LOG.info("a call that was none: %s", e)
            return
        try:
            self._do(call, begun)
        except DeclinedError as e:
            self._metrics.declined()
            LOG.debug("%s declined: %s", call.environ.get("CNI_COMMAND", ""), e)
            self._send(wire.frame(wire.DECLINED))
        finally:
            if call.netns_fd >= 0:
                os.close(call.netns_fd)

    def _is_trusted(self) -> bool:
        pid, uid, _ = _PEER.unpack(self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in _TRUSTED:
            LOG.warning("process %d of user %d asked the agent: not served", pid, uid)
            return False
        return True

    def _do(self, call: Call, begun: float) -> None:
        self._refuse_elsewhere(call)
        command = call.environ.get("CNI_COMMAND", "")
        with said_to_caller() as said, trace.collecting() as phases, signals.watched(self._reason_to_stop):
            say = self._answer(call, said, phases)
            calls.run_call(call.environ, call.conf, say, self._take, nonce=call.nonce, netns_fd=call.netns_fd)
            trace.mark("end")
            if not self._answered:
                say(0, "")
            self._record(command, call, phases(), time.perf_counter() - begun)
        if self._conf is not None:
            self._over(self._conf)

    def _refuse_elsewhere(self, call: Call) -> None:
        """What can be known before the conf is read."""
        if call.build != self._own.build:
            raise DeclinedError("it is of another build")
        if call.places != self._own.places:
            raise DeclinedError("it comes from another network namespace, mount namespace or root")
        if len(call.conf) > LARGEST_CONF:
            raise DeclinedError("its conf is too large")
        theirs = _of_place(call.environ)
        if theirs != self._own.environ:
            raise DeclinedError("its environment names other folders or another datastore")

    def _take(self, request: Request) -> None:
        """Tell the launcher that its call is ours now: from here on nobody else does it."""
        if ipam_plugin.is_delegated(request.conf):
            raise DeclinedError("its ipam plugin has to be run as its runtime would")
        if request.netns and not request.netns.startswith("/"):
            raise DeclinedError("its network namespace is named from its own folder")
        trace.mark("request")
        if not self._send(wire.frame(wire.TAKEN)):
            raise DeclinedError("its launcher waits no more")
        self._believed = _BELIEVED
        trace.mark("taken")
        self._conf = request.conf

    def _answer(self, call: Call, said: Callable[[], str], phases: Callable[[], Phases]) -> Callable[[int, str], None]:
        def say(code: int, line: str) -> None:
            told = said() + (trace.table(phases()) if call.traced else "")
            self._answered = True
            self._code = code
            sent = self._send(wire.frame(wire.ANSWER, int(code != 0), line.encode(), told.encode(errors="replace")))
            if line and not code and not (sent and self._is_confirmed()):
                raise CniError(Code.IO, "the answer could not be written: its launcher has gone")
            answered()

        return say

    def _is_confirmed(self) -> bool:
        """Whether the launcher says that the runtime has the answer.

        After this it can't say so any more, which it notices: what is taken back is never believed to be attached.
        """
        until = time.monotonic() + _TO_CONFIRM
        with suppress(OSError):
            while time.monotonic() < until:
                with suppress(BlockingIOError):  # wire.limit()
                    return self._connection.recv(1) == b"A"
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
            return self._connection.recv(1, socket.MSG_DONTWAIT) == b"A"
        return False

    def _send(self, data: bytes) -> bool:
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return True

    def _reason_to_stop(self) -> str:
        if time.monotonic() > self._until:
            return f"not done within {DEADLINE:.0f} s"
        if self._believed:
            self._believed -= 1
        elif not self._gone:
            with suppress(OSError):
                self._gone = self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        return "whoever asked for it has gone" if self._gone else self._stopping()

    def _record(self, command: str, call: Call, phases: Phases, seconds: float) -> None:
        self._metrics.done(command, self._code, seconds, phases)
        LOG.info(
            "call command=%s container=%r ifname=%r code=%d ms=%.2f %s",
            command if command in COMMANDS else "none",
            call.environ.get("CNI_CONTAINERID", ""),
            call.environ.get("CNI_IFNAME", ""),
            self._code,
            seconds * 1e3,
            " ".join([f"{name}={took * 1e3:.2f}" for name, took in phases]),
        )


def _of_place(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_OURS) and value}
