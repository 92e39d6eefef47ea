"""A lab in, a warm agent in it out, with what it says of itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.clients.support.lab import PATIENCE, PLUGINS, Lab, environment, until

SOCKET, METRICS = "/run/calico-rkt/agent.sock", "/run/calico-rkt/metrics.sock"
LOG = "/var/log/calico-rkt/calico-rkt.log"
_ASK = """
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.settimeout(60)
asked.connect(sys.argv[1])
asked.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
got = b""
while more := asked.recv(65536):
    got += more
sys.stdout.write(got.decode())
"""


_AROUND = {"nsenter", "strace"}


class Agent:
    """`calico agent` as PID `pid` of this test's own namespace; the lab's end is its end at the latest."""

    def __init__(
        self, lab: Lab, *arguments: str, binary: str = f"{PLUGINS}/calico", before: tuple[str, ...] = ()
    ) -> None:
        self.lab = lab
        self._command = (*before, binary, "agent", *arguments)
        self.process: subprocess.Popen[bytes] | None = None
        self._begun = 0

    def start(self) -> Agent:
        """Start it and wait until it answers."""
        self._begun = len(self._log())
        self.process = self.lab.start(*self._command, env=environment())
        until(self._serves, "the agent listens")
        return self

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the agent ended: {self._log()}"
        return "the agent serves" in self._log()[self._begun :]

    def _log(self) -> str:
        log = self.lab.path(LOG)
        return log.read_text() if log.exists() else ""

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of the Python process, below the nsenter that was started."""
        assert self.process is not None
        return program_below(self.process.pid)

    def kill(self, by: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal that ends it, and wait for that; its exit status."""
        assert self.process is not None
        os.kill(self.pid, by)
        return self.ended()

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE * 2)

    def restart(self) -> Agent:
        """The next one, after this one has ended."""
        return self.start()

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)
        if which == signal.SIGCONT and self.process is not None:
            self.process.send_signal(which)  # nsenter stops when its child does

    def page(self) -> str:
        """The metrics as they are offered, without HTTP's head."""
        said = self.lab.out("/usr/bin/python3", "-IS", "-c", _ASK, METRICS)
        head, _, body = said.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.0 200 OK"), said
        return body

    def counted(self, name: str) -> float:
        """The sum of all samples of one metric."""
        lines = [
            line
            for line in self.page().splitlines()
            if line.startswith((f"calico_rkt_{name}{{", f"calico_rkt_{name} "))
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def descriptors(self) -> tuple[int, int]:
        """How many it has: netlink's sockets of its own namespace, some of which it keeps, and all others."""
        lines = Path(f"/proc/{self.pid}/net/netlink").read_text().splitlines()[1:]
        netlink = {f"socket:[{line.split()[9]}]" for line in lines}
        found = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(str(fd.readlink()))
        kept = sum(1 for link in found if link in netlink)
        return kept, len(found) - kept


def program_below(pid: int) -> int:
    """The program that a process was started for: below what enters namespaces or traces, above its own children, which
    come and go."""
    while Path(f"/proc/{pid}/exe").readlink().name in _AROUND:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            break
        pid = int(children[0])
    return pid


def settled(lab: Lab) -> dict[str, list[str]]:
    """What attachments left behind, once nothing changes any more: an agent may still be taking something back."""
    deadline = time.monotonic() + PATIENCE
    while (left := lab.left()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
