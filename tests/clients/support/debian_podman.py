"""A Debian host in, its own podman's commands out: what podman 4 and podman 5 have in common."""

from __future__ import annotations

import subprocess

from tests.chroots.host import DebianHost

STORAGE = """[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
ENGINE = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
ROOTFS = "/srv/rootfs"


class DebianPodman:
    """podman of root, as Debian installs it."""

    def __init__(self, host: DebianHost) -> None:
        self.host = host

    def command(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Any program, as the user whose podman it is."""
        return self.host.run(*argv)

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self.command("podman", *argv)

    def out(self, *argv: str) -> str:
        """stdout of a podman command that has to succeed."""
        done = self(*argv)
        assert done.returncode == 0, f"podman {' '.join(argv)}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a running container."""
        return self("exec", name, "/bin/busybox", *argv)

    def address(self, name: str, interface: str = "eth0") -> str:
        """The container's address as the container sees it."""
        done = self.execute(name, "ip", "-4", "-o", "address", "show", "dev", interface)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split()[3].partition("/")[0]
