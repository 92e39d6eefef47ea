"""How a call is started in (JSON on stdin), how it ended out: for what a shell's words can't say. Runs in the lab.

closed: descriptors that are not open. full: descriptors that are pipes which nobody reads and that are full.
broken: pipes whose reader is gone. after: seconds until the signal `by`. ignored, blocked: signals that the call
finds so. limits: rlimits by name. slowly: seconds before the conf is written. The calls of a list run one after the
other.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Any


def pipe(kind: str) -> tuple[int, list[int]]:
    """The end for the call, and what has to stay open as long as it runs."""
    reader, writer = os.pipe()
    if kind == "broken":
        os.close(reader)
        return writer, []
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    return writer, [reader]


def run(call: dict[str, Any]) -> dict[str, Any]:
    ends = {int(fd): pipe(kind) for kind in ("full", "broken") for fd in call.get(kind, ())}

    def prepare() -> None:
        for name, value in call.get("limits", {}).items():
            resource.setrlimit(getattr(resource, name), (value, value))
        for name in call.get("ignored", ()):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in call.get("blocked", ())])
        for fd in call.get("closed", ()):
            os.close(fd)

    process = subprocess.Popen(
        call["argv"],
        stdin=subprocess.PIPE,
        stdout=ends[1][0] if 1 in ends else subprocess.PIPE,
        stderr=ends[2][0] if 2 in ends else subprocess.PIPE,
        env=call["env"],
        preexec_fn=prepare,  # noqa: PLW1509 - the only threads are timers
    )
    for end, _ in ends.values():
        os.close(end)
    if "after" in call:
        threading.Timer(call["after"], process.send_signal, [getattr(signal, call["by"])]).start()
    time.sleep(call.get("slowly", 0))
    out, err = process.communicate(json.dumps(call["conf"]).encode(), timeout=100)
    for _, kept in ends.values():
        for fd in kept:
            os.close(fd)
    return {"status": process.returncode, "out": (out or b"").decode(), "err": (err or b"").decode()}


json.dump([run(call) for call in json.load(sys.stdin)], sys.stdout)
