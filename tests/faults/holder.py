"""A lab and a lock of ours in; a process in it that holds that lock, and may be stopped, out."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.clients.support.lab import STATE, Lab, until

RUN = "/run/calico-rkt"
POLICY, POLICY_SHARED, FLOWS, ATTACHMENTS = "policy", "policy, shared", "flows", "attachments"
LOCKS = (POLICY, POLICY_SHARED, FLOWS, ATTACHMENTS, STATE)
_PROGRAM = """
import fcntl, os, signal, sys, time
how, *paths = sys.argv[1:]
held = []
for path in paths:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    held.append(open(path, "a"))
    fcntl.flock(held[-1], fcntl.LOCK_SH if how == "shared" else fcntl.LOCK_EX)
print(os.getpid(), flush=True)
while True:
    time.sleep(60)
"""


class Holder:
    """It holds the lock from the start until end(); names: the containers whose attachments' locks are meant."""

    def __init__(self, lab: Lab, lock: str, names: Sequence[str], *, network: str = "web", stopped: bool) -> None:
        paths = {
            POLICY: [f"{RUN}/policy.lock"],
            POLICY_SHARED: [f"{RUN}/policy.lock"],
            FLOWS: [f"{RUN}/flows.lock"],
            ATTACHMENTS: sorted({f"{RUN}/locks/{_stripe(network, name)}" for name in names}),
            STATE: [STATE],
        }[lock]
        how = "shared" if lock == POLICY_SHARED else "alone"
        log = lab.path(f"/run/lab/holder-{os.getpid()}")
        with log.open("wb") as out:
            self._process = lab.start("/usr/bin/python3", "-IS", "-c", _PROGRAM, how, *paths, log=out)
        until(lambda: log.read_text().endswith("\n"), "somebody holds the lock")
        self.pid = int(log.read_text())
        """As the lab's processes see it."""
        self._outer = self._last_child()
        if stopped:
            os.kill(self._outer, signal.SIGSTOP)

    def _last_child(self) -> int:
        found = self._process.pid
        while children := Path(f"/proc/{found}/task/{found}/children").read_text().split():
            found = int(children[0])
        return found

    def end(self) -> None:
        os.kill(self._outer, signal.SIGKILL)
        self._process.send_signal(signal.SIGCONT)  # nsenter stopped with its child
        self._process.wait(60)


def _stripe(network: str, container: str) -> str:
    return hashlib.sha256(f"{network}\0{container}\0eth0".encode()).hexdigest()[:2]
