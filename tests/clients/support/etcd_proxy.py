"""A lab in, a proxy before its etcd out: notes each request, and cuts the line where it is told to.

What runs in the lab is programs/cut_requests.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.clients.support.lab import Lab, until

PROGRAM = Path(__file__).parent / "programs" / "cut_requests.py"
PORT, FOLDER = 2380 + 20, "/run/proxy"
URL = f"http://127.0.0.1:{PORT}"


class Proxy:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, cut: str = "") -> None:
        self.stop()
        self.lab.out("rm", "-rf", FOLDER)
        self.lab.out("mkdir", FOLDER)
        if cut:
            self.lab.write(f"{FOLDER}/cut", cut)
        self.process = self.lab.start(sys.executable, str(PROGRAM), str(PORT), "2379", FOLDER)
        until(lambda: self.lab.path(FOLDER, "pid").exists(), "the proxy listens")

    def cut_next(self, how: str) -> None:
        """Cut the line at the next request, of connections that are there, too."""
        self.lab.write(f"{FOLDER}/cut", f"{len(self.log()) + 1} {how}")

    def stop(self) -> None:
        if self.process is not None and self.lab.path(FOLDER, "pid").exists():
            self.lab.run("kill", "-9", self.lab.path(FOLDER, "pid").read_text())
            self.process.wait(20)

    def log(self) -> list[str]:
        path = self.lab.path(FOLDER, "log")
        return path.read_text().split() if path.exists() else []
