"""A lab in, containers of containerd's own `ctr run --cni` out."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from tests.clients.support.lab import PATIENCE, Lab, environment, until

_FOLDER = "/run/lab/containerd"
_SOCKET = f"{_FOLDER}/containerd.sock"
_CONFIG = f"""version = 2
root = "{_FOLDER}/root"
state = "{_FOLDER}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{_SOCKET}"
[ttrpc]
address = "{_SOCKET}.ttrpc"
"""


class Containerd:
    """One containerd. Each container is a foreground `ctr run`: only that runs DEL when the container ends."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def ctr(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self._lab.run("ctr", "-a", _SOCKET, *argv)

    def run(self, network: Mapping[str, Any], name: str, *argv: str) -> None:
        """Start argv in a container of this network. ctr takes the only conf of the CNI folder, so it is swapped."""
        folder = self._lab.path("/etc/cni/net.d")
        for old in folder.iterdir():
            old.unlink()
        self._lab.write(f"/etc/cni/net.d/10-{network['name']}.conf", json.dumps(network))
        self.run_here(name, *argv)

    def run_here(self, name: str, *argv: str) -> None:
        """The same in the network of the folder's first file."""
        log = self._lab.path(f"{_FOLDER}/{name}.log")
        with log.open("wb") as stream:
            self._running[name] = self._lab.start(
                *("ctr", "-a", _SOCKET, "run", "--rm", "--cni", "--cgroup", f"/{self._lab.name}/{name}"),
                *("--rootfs", "/run/lab/rootfs", name, *argv),
                env=environment(),
                log=stream,
            )

        def started() -> bool:
            assert self._running[name].poll() is None, log.read_text()
            tasks = (line.split() for line in self.ctr("task", "list").stdout.decode().splitlines())
            return any(task[0] == name and task[2] == "RUNNING" for task in tasks)

        until(started, f"container {name} runs")

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a running container."""
        return self.ctr("task", "exec", "--exec-id", f"x{os.urandom(4).hex()}", name, "/bin/busybox", *argv)

    def stop(self, name: str) -> None:
        """Kill the container and wait for its `ctr run`, which runs DEL."""
        done = self.ctr("task", "kill", "-s", "SIGKILL", name)
        assert done.returncode == 0, done.stderr.decode()
        self._running.pop(name).wait(PATIENCE)

    def close(self) -> None:
        """Stop what a failed test left running."""
        for name in tuple(self._running):
            self.stop(name)


@contextlib.contextmanager
def containerd(lab: Lab) -> Iterator[Containerd]:
    """A containerd with its own root, state and socket; stopped at the end."""
    config = lab.write(f"{_FOLDER}/config.toml", _CONFIG)
    log = lab.path(f"{_FOLDER}/containerd.log")
    with log.open("wb") as stream:
        start = f"echo $$ >{_FOLDER}/pid; exec containerd -c {config}"
        daemon = lab.start("sh", "-c", start, env=environment(), log=stream)
    runtime = Containerd(lab)

    def answers() -> bool:
        assert daemon.poll() is None, log.read_text()
        return runtime.ctr("version").returncode == 0

    try:
        until(answers, "containerd answers")
        yield runtime
    finally:
        runtime.close()
        lab.out("kill", lab.path(f"{_FOLDER}/pid").read_text().strip())
        daemon.wait(PATIENCE)
