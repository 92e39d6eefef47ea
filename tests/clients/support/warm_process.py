"""A lab in, warm processes in it out: each serves call after call, as the agent does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.clients.support.lab import PLUGINS, Lab, environment

SCRIPT = Path(__file__).parent / "programs" / "serve_calls.py"


class Warm:
    """One process. inside: a network namespace of the lab that is the host then; env: more for its environment."""

    def __init__(self, lab: Lab, inside: str = "", env: dict[str, str] | None = None) -> None:
        argv = lab.command(sys.executable, str(SCRIPT), inside=inside)
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(env))

    def ask(self, command: str, conf: dict[str, Any], container: str, netns: str) -> None:
        """Send a call without waiting for its answer."""
        env = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": "eth0"}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"env": env | {"CNI_PATH": PLUGINS}, "conf": conf}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[float, Any]:
        """The next answer, which has to be no error, and the seconds that it took."""
        seconds, answer = self.whatever()
        assert answer is None or "code" not in answer, answer
        return seconds, answer

    def whatever(self) -> tuple[float, Any]:
        """The next answer, a result or an error, and the seconds that it took."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the warm process died"
        said = json.loads(line)
        return said["seconds"], said["answer"]

    def __call__(self, command: str, conf: dict[str, Any], container: str, netns: str) -> Any:
        self.ask(command, conf, container, netns)
        return self.answer()[1]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
