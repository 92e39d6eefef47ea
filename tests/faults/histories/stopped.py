"""A host and an act in; the act begun, stopped at one of its effects with whatever it holds, and what it said, out."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from types import TracebackType
from typing import Self

from tests.clients.support.caller import Reply
from tests.clients.support.lab import HANGS, PLUGINS, environment, variables
from tests.faults.host import WEB, WatchedHost
from tests.faults.supervisor import STOP, Plan, Supervisor
from tests.patience import slowness

_VERBS = ("ADD", "DEL", "CHECK")
_COMMANDS = {"apply": ("apply", "--yes"), "prune": ("prune", "--yes")}
_SOME = 0.7
"""Seconds for who comes meanwhile: it waits, or it is done."""


class Stopped:
    """An act of its own process. at: the effect before which it is stopped; it may end before there is one."""

    def __init__(self, host: WatchedHost, act: str, one: str, at: int) -> None:
        argv = [f"{PLUGINS}/calico", *(() if act in _VERBS else _COMMANDS.get(act, (act,)))]
        self._stdin = json.dumps(WEB).encode() if act in _VERBS else b""
        self._supervisor = Supervisor()
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            host.lab.command(*self._supervisor.command(*argv)),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment(variables(act, one) if act in _VERBS else None),
            pass_fds=self._supervisor.passed(),
        )
        self._supervisor.begin(Plan(at, STOP))
        self._supervisor.taken()
        assert self._process.stdin is not None
        self._process.stdin.write(self._stdin)
        self._process.stdin.close()
        self._process.stdin = None
        while at >= 0 and self._process.poll() is None and not self._supervisor.seen_one():
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._supervisor.goes_on(kill=True)
        self._process.kill()
        self._process.communicate()
        self._supervisor.close()

    def has_some_time(self) -> None:
        until = time.monotonic() + _SOME * slowness()
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)

    def finished(self) -> Reply:
        """It goes on, to its end."""
        self._supervisor.goes_on(kill=False)
        return self._ended()

    def killed(self) -> Reply:
        self._supervisor.goes_on(kill=True)
        return self._ended()

    def _ended(self) -> Reply:
        until = time.monotonic() + HANGS
        while True:
            self._process.send_signal(signal.SIGCONT)  # nsenter stops when its child does, and goes on when it is told
            try:
                out, err = self._process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < until, "it hangs"
            else:
                return Reply(self._process.returncode, out, err)
