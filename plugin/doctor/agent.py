"""The agent's sockets in; whether one runs, answers, and is of the build that runtimes call, out."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

from calico_rkt.plugin.agent import sockets
from calico_rkt.plugin.agent.summary import METRICS, ask
from calico_rkt.plugin.doctor.finding import WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.install import payload, systemd
from calico_rkt.plugin.install.parts import PLUGIN
from calico_rkt.plugin.store.folders import folders

_PATIENCE = 3.0
_ALONE = "each call waits for it in vain and then starts a process of its own"


def agent(_: Host) -> Check:
    """None is no finding: calls do without."""
    path = folders()[0] / sockets.NAME
    if not os.path.lexists(path):
        yield "no agent: each call starts a process of its own"
        return
    problem = _problem(path)
    if problem:
        again = "systemctl restart calico-rkt-agent.socket" if systemd.runs() else f"rm {shlex.quote(str(path))}"
        yield Finding("CR950", WARNING, f"nobody serves this socket: {problem}", _ALONE, again, Place(str(path)))
        return
    summary = ask(folders()[0] / METRICS)
    if summary is None:
        if systemd.runs():
            yield "the agent's socket is systemd's, and the first call starts the agent"
            return
        message = "an agent has this socket and does not answer"
        yield Finding("CR951", WARNING, message, _ALONE, f"fuser -v {shlex.quote(str(path))}", Place(str(path)))
        return
    called = next((p for p in (PLUGIN, "/opt/cni/bin/calico") if payload.is_ours(Path(p))), "")
    build = payload.build_of(Path(called)) if called else ""
    if summary.build and build and summary.build != build:
        message = f"the agent is of build {summary.build[:12]}, and {called} of build {build[:12]}"
        stop = (
            "systemctl restart calico-rkt-agent" if systemd.runs() else "kill the agent: the next one is the new build"
        )
        follows = "it declines every call, which starts a process of its own"
        yield Finding("CR952", WARNING, message, follows, stop, Place(called), advice=not systemd.runs())
    else:
        yield f"the agent answers: {summary}"


def _problem(path: Path) -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as to:
            to.settimeout(_PATIENCE)
            to.connect(str(path))
    except OSError as e:
        return e.strerror or str(e)
    return ""
