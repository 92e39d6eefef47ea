"""The agent's own file in; the kernel attested after each restore and each change of the table, out, by nobody's wait.

In a process of its own that runs when nothing else wants to: attesting a thousand networks takes seconds of processor
time, and calls come first. What it came to is kept for the metrics, and is in the log where it is not equal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

from calico_rkt.plugin.agent.gauges import no_cni
from calico_rkt.plugin.process.log import LOG

_PATIENCE = 600.0
_QUIET = 5.0
"""Seconds after the first news: an apply or a restore is many pieces of it, and one look is enough for all."""


class Attester:
    """Runs `attest` when it is wanted; many wishes at once are one."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name="attest", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def want(self) -> None:
        """Soon; returns at once."""
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            with suppress(OSError):  # a clock that somebody put in the place of the system's refuses to be waited for
                time.sleep(_QUIET)
            self._wanted.clear()
            try:
                self._attest()
            except Exception:  # noqa: BLE001 - the next wish has to be heard
                LOG.exception("while the kernel was attested")

    def _attest(self) -> None:
        argv = [sys.executable, "-IS", "-Xutf8", self._own, "attest", "--record"]
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        with subprocess.Popen(argv, stdin=null, stdout=pipe, stderr=pipe, text=True, env=no_cni()) as process:
            with suppress(OSError):  # it may have ended; where it may not be set back, it runs as others do
                os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, process.pid, 19)
            try:
                out, err = process.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                LOG.warning("attest: given up after %.0f s", _PATIENCE)
                return
        if process.returncode == 0:
            LOG.info("attest: the kernel enforces what the files say")
            return
        tell = LOG.error if process.returncode == 1 else LOG.warning
        for line in (out if process.returncode in (1, 3) else err).splitlines():
            if line.startswith(("differs:", "not proven:")) or process.returncode not in (1, 3):
                tell("attest: %s", line)
