"""A lab in, podman's containers with its CNI backend out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from tests.clients.support.lab import PLUGINS, Lab, environment, listed

_FOLDER = "/run/lab/podman"
_CONFIG = f"""[network]
network_backend = "cni"
cni_plugin_dirs = ["{PLUGINS}"]
network_config_dir = "{_FOLDER}/net.d"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
_STORAGE = f"""[storage]
driver = "vfs"
runroot = "{_FOLDER}/run"
graphroot = "{_FOLDER}/root"
"""


class Podman:
    """podman 4.3 with folders and networks of its own; networks is the folder of its .conflist files."""

    networks = f"{_FOLDER}/net.d"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.environment = environment(
            {
                "CONTAINERS_CONF": lab.write(f"{_FOLDER}/containers.conf", _CONFIG),
                "CONTAINERS_STORAGE_CONF": lab.write(f"{_FOLDER}/storage.conf", _STORAGE),
            }
        )

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self._lab.run("podman", "--tmpdir", f"{_FOLDER}/tmp", *argv, env=self.environment)

    def network(self, conf: Mapping[str, Any], *chained: Mapping[str, Any]) -> None:
        """Write a .conflist (podman reads nothing else): this conf, then the chained plugins."""
        self._lab.write(f"{self.networks}/{conf['name']}.conflist", listed(conf, *chained))

    def run(self, networks: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> None:
        """Start a container in one network, or in several with commas between."""
        done = self(
            *("run", "--detach", "--runtime", "runc", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"),
            *("--cgroup-parent", f"/{self._lab.name}", "--network", networks, "--name", name),
            *(*options, "--rootfs", "/run/lab/rootfs", *argv),
        )
        assert done.returncode == 0, done.stderr.decode()

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a running container."""
        return self("exec", name, "/bin/busybox", *argv)

    def stop(self, name: str) -> None:
        done = self("rm", "--force", "--time", "0", name)
        assert done.returncode == 0, done.stderr.decode()
