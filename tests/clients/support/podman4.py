"""A Debian 12 host in, its podman with the CNI backend, of root or of a user, out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chroots.host import DebianHost
from tests.clients.support.debian_podman import ENGINE, HOME, DebianPodman, make_user
from tests.clients.support.lab import listed

PACKAGES = (
    *("podman", "slirp4netns", "uidmap", "crun", "containernetworking-plugins", "iptables", "nftables"),
    *("python3", "libnftables1", "conntrack", "busybox-static"),
)
_CONFIG = """[network]
network_backend = "cni"
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
"""


def furnish(host: DebianHost, binary: Path) -> None:
    """Install ours, choose the CNI backend, and make the containers' root file system and a user without root."""
    host.out(host.put(binary, "/root/calico"), "install", "--yes")
    host.write("/etc/containers/containers.conf", _CONFIG + ENGINE)
    host.write("/etc/containers/storage.conf", '[storage]\ndriver = "vfs"\nrunroot = "/run/c"\ngraphroot = "/var/c"\n')
    host.path("/etc/cni/net.d/87-podman-bridge.conflist").unlink(missing_ok=True)
    make_user(host)
    host.make_rootfs("/srv/root")


class Podman4(DebianPodman):
    """podman of a user of the host: root, or USER."""

    def __init__(self, host: DebianHost, user: str = "root") -> None:
        super().__init__(host, user)
        self.networks = "/etc/cni/net.d" if user == "root" else f"{HOME}/.config/cni/net.d"

    def network(self, conf: Mapping[str, Any], *chained: Mapping[str, Any]) -> str:
        """Write the .conflist where this user's podman looks; its text."""
        text = listed(conf, *chained)
        self.host.write(f"{self.networks}/10-{conf['name']}.conflist", text)
        return text

    def run(self, network: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> None:
        """Start a container."""
        self.out(
            "run", "--detach", "--network", network, "--name", name, *options, "--rootfs", f"/srv/{self.user}", *argv
        )
