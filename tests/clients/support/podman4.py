"""A Debian 12 host in, its podman with the CNI backend, of root or of a user, out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chroots.host import DebianHost
from tests.clients.support.lab import environment

PACKAGES = (
    *("podman", "slirp4netns", "uidmap", "crun", "containernetworking-plugins", "iptables", "nftables"),
    *("python3", "libnftables1", "conntrack", "busybox-static"),
)
USER, HOME, RUNTIME = "u", "/home/u", "/run/user/1000"
_CONFIG = """[network]
network_backend = "cni"
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""


def furnish(host: DebianHost, binary: Path) -> None:
    """Install ours, choose the CNI backend, and make the containers' root file system and a user without root."""
    host.out(host.put(binary, "/root/calico"), "install", "--yes")
    host.write("/etc/containers/containers.conf", _CONFIG)
    host.write("/etc/containers/storage.conf", '[storage]\ndriver = "vfs"\nrunroot = "/run/c"\ngraphroot = "/var/c"\n')
    host.path("/etc/cni/net.d/87-podman-bridge.conflist").unlink(missing_ok=True)
    host.out("useradd", "--create-home", "--home-dir", HOME, "--shell", "/bin/sh", "--uid", "1000", USER)
    host.out("install", "-d", "-o", USER, "-m", "700", RUNTIME)
    host.write(
        f"{HOME}/.config/containers/storage.conf",
        f'[storage]\ndriver = "vfs"\nrunroot = "{RUNTIME}/c"\ngraphroot = "{HOME}/c"\n',
    )
    for owner in ("root", USER):
        root = f"/srv/{owner}"
        for folder in ("bin", "proc", "sys", "dev", "etc", "tmp", "run", "www"):
            host.path(root, folder).mkdir(parents=True)
        host.out("cp", "/bin/busybox", f"{root}/bin/busybox")
        for applet in ("httpd", "ip", "nc", "ping", "sh", "sleep"):
            host.path(root, "bin", applet).symlink_to("busybox")
        host.write(f"{root}/www/index.html", "reached\n")
        host.out("chown", "-R", owner, root)
    host.out("chown", "-R", USER, HOME)


class Podman4:
    """podman of a user of the host: root, or USER."""

    def __init__(self, host: DebianHost, user: str = "root") -> None:
        self.host, self.user = host, user
        self.networks = "/etc/cni/net.d" if user == "root" else f"{HOME}/.config/cni/net.d"

    def command(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Any program, as this user."""
        if self.user == "root":
            return self.host.run(*argv)
        session = environment({"HOME": HOME, "XDG_RUNTIME_DIR": RUNTIME, "USER": USER})
        return self.host.run("setpriv", "--reuid", USER, "--regid", USER, "--init-groups", *argv, env=session, cwd=HOME)

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self.command("podman", *argv)

    def out(self, *argv: str) -> str:
        """stdout of a podman command that has to succeed."""
        done = self(*argv)
        assert done.returncode == 0, f"podman {' '.join(argv)}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    def network(self, conf: Mapping[str, Any], *chained: Mapping[str, Any]) -> str:
        """Write the .conflist where this user's podman looks; its text."""
        first = {key: value for key, value in conf.items() if key not in ("cniVersion", "name")}
        text = json.dumps({"cniVersion": conf["cniVersion"], "name": conf["name"], "plugins": [first, *chained]})
        self.host.write(f"{self.networks}/10-{conf['name']}.conflist", text)
        return text

    def run(self, network: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> None:
        """Start a container."""
        self.out(
            "run", "--detach", "--network", network, "--name", name, *options, "--rootfs", f"/srv/{self.user}", *argv
        )

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a running container."""
        return self("exec", name, "/bin/busybox", *argv)

    def address(self, name: str, interface: str = "eth0") -> str:
        """The container's address as the container sees it."""
        done = self.execute(name, "ip", "-4", "-o", "address", "show", "dev", interface)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split()[3].partition("/")[0]

    def inside(self, *argv: str) -> str:
        """stdout of a command in the network that containers of a user without root have."""
        return self.out("unshare", "--rootless-netns", *argv)
