"""A Debian host with podman 5 in, its containers in networks of our netavark driver out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chroots.host import DebianHost
from tests.clients.support.debian_podman import ENGINE, ROOTFS, STORAGE, DebianPodman
from tests.clients.support.lab import listed

PACKAGES = (
    *("podman", "netavark", "crun", "iptables", "containernetworking-plugins", "nftables", "passt", "uidmap"),
    *("python3", "libnftables1", "conntrack", "busybox-static"),
)
_CONFIG = "[containers]\npids_limit = 0\n"


class Podman5(DebianPodman):
    """podman of Debian 13 with its own netavark, and ours as `install` puts it there: the driver is a link."""

    def __init__(self, host: DebianHost, binary: Path) -> None:
        super().__init__(host)
        host.out(host.put(binary, "/root/calico"), "install", "--yes")
        host.write("/etc/containers/containers.conf", _CONFIG + ENGINE)
        host.write("/etc/containers/storage.conf", STORAGE)
        host.make_rootfs(ROOTFS)

    def refused(self, *argv: str) -> str:
        """What podman says of a command that has to fail."""
        done = self(*argv)
        assert done.returncode != 0, f"podman {' '.join(argv)}: {done.stdout.decode()}"
        return done.stderr.decode()

    def network(self, conf: Mapping[str, Any], *chained: Mapping[str, Any]) -> None:
        """Write the host's conf, a list where plugins are chained, and tell podman of it."""
        name, folder = conf["name"], "/etc/cni/net.d"
        if chained:
            self.host.write(f"{folder}/10-{name}.conflist", listed(conf, *chained))
        else:
            self.host.write(f"{folder}/10-{name}.conf", json.dumps(conf))
        self.out("network", "create", "--driver", "calico", name)

    def run(self, networks: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> str:
        """Start a container in one network, or in several with semicolons between; what is said on stderr."""
        done = self(*self.running(networks, name, *argv, options=options))
        assert done.returncode == 0, f"podman run {networks} {name}: {done.stderr.decode()}"
        return done.stderr.decode()

    def running(self, networks: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> list[str]:
        """The arguments of that."""
        whole = ["run", "--detach", "--name", name, *(o for n in networks.split(";") for o in ("--network", n))]
        return [*whole, *options, "--rootfs", ROOTFS, *argv]

    def stop(self, *names: str) -> None:
        self.out("rm", "--force", "--time", "0", *names)
