"""A Debian host in, its own podman's commands out: what podman 4 and podman 5 have in common."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from tests.chroots.host import DebianHost
from tests.clients.support.lab import environment

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
USER, HOME, RUNTIME = "u", "/home/u", "/run/user/1000"


def make_user(host: DebianHost) -> None:
    """A user without root, with a root file system for containers and podman's folders of its own."""
    host.out("useradd", "--create-home", "--home-dir", HOME, "--shell", "/bin/sh", "--uid", "1000", USER)
    host.out("install", "-d", "-o", USER, "-m", "700", RUNTIME)
    host.write(
        f"{HOME}/.config/containers/storage.conf",
        f'[storage]\ndriver = "vfs"\nrunroot = "{RUNTIME}/c"\ngraphroot = "{HOME}/c"\n',
    )
    host.make_rootfs(f"/srv/{USER}")
    host.out("chown", "-R", USER, f"/srv/{USER}", HOME)


class DebianPodman:
    """podman as Debian installs it, of root or of USER; session is what that user's shell exports."""

    def __init__(self, host: DebianHost, user: str = "root", session: Mapping[str, str] | None = None) -> None:
        self.host, self.user, self._session = host, user, session or {}

    def command(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Any program, as the user whose podman it is."""
        if self.user == "root":
            return self.host.run(*argv)
        session = environment({"HOME": HOME, "XDG_RUNTIME_DIR": RUNTIME, "USER": USER, **self._session})
        return self.host.run("setpriv", "--reuid", USER, "--regid", USER, "--init-groups", *argv, env=session, cwd=HOME)

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

    def inside(self, *argv: str) -> str:
        """stdout of a command in the network that containers of a user without root have."""
        return self.out("unshare", "--rootless-netns", *argv)
