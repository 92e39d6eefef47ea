"""A Debian host with podman 5 in, its containers in networks of our netavark driver out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chroots.host import DebianHost

PACKAGES = (
    *("podman", "netavark", "crun", "iptables", "containernetworking-plugins", "nftables"),
    *("python3", "libnftables1", "conntrack", "busybox-static"),
)
_CONFIG = """[containers]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
_STORAGE = """[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
_ROOTFS = "/srv/rootfs"


class Podman5:
    """podman of Debian 13 with its own netavark, and ours as `install` puts it there: the driver is a link."""

    def __init__(self, host: DebianHost, binary: Path) -> None:
        self.host = host
        host.out(host.put(binary, "/root/calico"), "install", "--yes")
        host.write("/etc/containers/containers.conf", _CONFIG)
        host.write("/etc/containers/storage.conf", _STORAGE)
        for folder in ("bin", "proc", "sys", "dev", "etc", "tmp", "run", "www"):
            host.path(_ROOTFS, folder).mkdir(parents=True)
        host.out("cp", "/bin/busybox", f"{_ROOTFS}/bin/busybox")
        for applet in ("httpd", "ip", "nc", "ping", "sh", "sleep"):
            host.path(_ROOTFS, "bin", applet).symlink_to("busybox")
        host.write(f"{_ROOTFS}/www/index.html", "reached\n")

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self.host.run("podman", *argv)

    def out(self, *argv: str) -> str:
        """stdout of a podman command that has to succeed."""
        done = self(*argv)
        assert done.returncode == 0, f"podman {' '.join(argv)}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    def refused(self, *argv: str) -> str:
        """What podman says of a command that has to fail."""
        done = self(*argv)
        assert done.returncode != 0, f"podman {' '.join(argv)}: {done.stdout.decode()}"
        return done.stderr.decode()

    def network(self, conf: Mapping[str, Any], *chained: Mapping[str, Any]) -> None:
        """Write the host's conf, a list where plugins are chained, and tell podman of it."""
        name, folder = conf["name"], "/etc/cni/net.d"
        if chained:
            first = {key: value for key, value in conf.items() if key not in ("cniVersion", "name")}
            listed = {"cniVersion": conf["cniVersion"], "name": name, "plugins": [first, *chained]}
            self.host.write(f"{folder}/10-{name}.conflist", json.dumps(listed))
        else:
            self.host.write(f"{folder}/10-{name}.conf", json.dumps(conf))
        self.out("network", "create", "--driver", "calico", name)

    def run(self, networks: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> None:
        """Start a container in one network, or in several with commas between."""
        self.out(*self.running(networks, name, *argv, options=options))

    def running(self, networks: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> list[str]:
        """The arguments of that."""
        whole = ["run", "--detach", "--name", name, *(o for n in networks.split(";") for o in ("--network", n))]
        return [*whole, *options, "--rootfs", _ROOTFS, *argv]

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a running container."""
        return self("exec", name, "/bin/busybox", *argv)

    def address(self, name: str, interface: str = "eth0") -> str:
        """The container's address as the container sees it."""
        done = self.execute(name, "ip", "-4", "-o", "address", "show", "dev", interface)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split()[3].partition("/")[0]

    def stop(self, *names: str) -> None:
        self.out("rm", "--force", "--time", "0", *names)
