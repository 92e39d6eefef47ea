"""`calico-rkt agent`: starts, serves until it is told to end or its own file was replaced, and drains."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import calico_rkt
from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.agent import page, sockets, warm, watch, whole
from calico_rkt.plugin.agent.attester import Attester
from calico_rkt.plugin.agent.finish import Finisher
from calico_rkt.plugin.agent.gauges import Gauges
from calico_rkt.plugin.agent.mend import Mender
from calico_rkt.plugin.agent.metrics import Metrics
from calico_rkt.plugin.agent.serve import Conversation, Identity
from calico_rkt.plugin.agent.summary import METRICS
from calico_rkt.plugin.agent.workers import Workers
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG, share_log
from calico_rkt.plugin.store import statefile
from calico_rkt.plugin.store.folders import folders

DRAIN = 30.0
"""Seconds that calls may go on for once the agent is told to end; an ADD that isn't done then is taken back."""
LAST = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


class Agent:
    """One agent. Nothing that it keeps is needed for a right answer, so it may die at any moment."""

    def __init__(self, own: Path, metrics_at: str) -> None:
        run_dir, _ = folders()
        self._own, self._is_own = own, _identity(own if calico_rkt.FILE < 0 else calico_rkt.FILE)
        self._listener = sockets.listen_in(run_dir)
        self._path = None if sockets.is_handed_down() else run_dir / sockets.NAME
        self._metrics_at = metrics_at or str(run_dir / METRICS)
        self._page: Path | None = None
        self._metrics = Metrics()
        self._identity = Identity.own(calico_rkt.BUILD)
        self._finisher = Finisher()
        self._attester = Attester(str(own))
        self._mender = Mender(self._metrics.restored, lambda: whole.restored_if_needed(str(own)))
        self._workers = Workers(self._listener, self._serve)
        self._stopping = ""

    def run(self) -> None:
        """Serve until a signal says to end; no socket is left where nobody listens any more."""
        try:
            self._run()
        finally:
            self._remove_sockets()

    def _run(self) -> None:
        watch.watch(self._heard)
        self._attester.start()
        self._attester.want()
        self._mender.start()
        self._offer_metrics()
        self._finisher.start()
        warm.up()
        gc.collect()
        gc.freeze()
        self._workers.start()
        sockets.notify("READY=1")
        LOG.info("the agent serves %s", self._path or "the socket that it was given")
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            self._reload()
        self._drain()

    def _heard(self) -> None:
        """A change of the table that is no call's: a restore, an apply, somebody else."""
        self._attester.want()
        self._mender.heard()

    def _serve(self, connection: socket.socket) -> None:
        if _identity(self._own) != self._is_own:
            LOG.info("%s was replaced: the agent ends after the calls that it has", self._own)
            os.kill(os.getpid(), signal.SIGTERM)
            return  # its launcher sees the end of the connection, and does the call by itself
        Conversation(connection, self._identity, self._metrics, lambda: self._stopping, self._saw).hold()

    def _saw(self, conf: NetConf) -> None:
        """A call is answered and over."""
        statefile.tidy()
        if conf.datastore_type != "local":
            self._finisher.saw(conf)

    def _offer_metrics(self) -> None:
        # By the open file: another build may have been put in its place.
        gauges = Gauges(str(self._own) if calico_rkt.FILE < 0 else f"/proc/{os.getpid()}/fd/{calico_rkt.FILE}")
        listener = sockets.listen_at(self._metrics_at)
        self._page = Path(self._metrics_at) if "/" in self._metrics_at else None
        page.offer(listener, lambda brief: self._metrics.text(gauges.now(brief=brief)))

    def _reload(self) -> None:
        """What is learnt of files and of the kernel is looked at anew; calls go on."""
        sockets.notify("RELOADING=1")
        self._mender.look()
        LOG.info("reloaded")
        sockets.notify("READY=1")

    def _drain(self) -> None:
        sockets.notify("STOPPING=1")
        self._remove_sockets()
        self._workers.stop()
        if not self._workers.wait(DRAIN):
            self._stopping = "the agent ends"
            self._workers.wait(LAST)
        self._listener.close()
        LOG.info("the agent has ended")

    def _remove_sockets(self) -> None:
        for path in (self._path, self._page):
            if path is not None:
                with suppress(OSError):
                    path.unlink()
        self._path = self._page = None


def run_agent(metrics_at: str) -> int:
    """The command: exit status 0 when it was told to end."""
    own = Path(sys.argv[0]).absolute()
    if not calico_rkt.BUILD:
        raise CniError(Code.INVALID_ENVIRONMENT, "the agent is started from the built file: dist/calico agent")
    os.chdir("/")
    os.umask(0o077)
    ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)  # else each thread keeps memory of its own
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before there are threads: only sigwait() gets them
    threading.stack_size(1 << 20)
    share_log()
    Agent(own, metrics_at).run()
    return 0


def _identity(file: Path | int) -> tuple[int, int, int]:
    try:
        found = os.stat(file)  # noqa: PTH116 - of an open file, too
    except OSError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_mtime_ns
