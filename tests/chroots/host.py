"""A tree of Debian in, a throw-away host of it out: what it writes is memory, and gone with its last process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.chroots.trees import certificates, tree
from tests.clients.support.lab import HANGS, OUTSIDE_NETWORK, Lab, environment

# As in tests/clients/support/lab.py, the shell is PID 1 of the host and says its outer PID when all is there. The tree
# is the lower layer of an overlay whose upper is memory. $1: the folder of the tree, $2: the host's name, which is its
# control group's, too, $3: the machine's certificates. The control group is of v2 whatever the machine has, and without
# controllers where the machine uses v1.
_BUILD = (
    """
set -eu
exec 3<&0
folder=$1 name=$2
read -r outer rest </proc/self/stat
mount -t proc proc /proc
at=$folder/mounted
mount -t tmpfs -o mode=755 tmpfs "$at"
mkdir "$at/upper" "$at/work" "$at/root" "$at/cgroup"
mount -t overlay -o "lowerdir=$folder/root,upperdir=$at/upper,workdir=$at/work" overlay "$at/root"
mount -t cgroup2 cgroup2 "$at/cgroup"
mkdir -p "$at/cgroup/$name/init"
echo 0 >"$at/cgroup/$name/init/cgroup.procs"
cd "$at/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --bind "$at/cgroup/$name" sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty fuse net/tun; do
    [ -e "/dev/$device" ] || continue
    case $device in */*) mkdir -p "dev/${device%/*}" ;; esac
    mknod -m 666 "dev/$device" c $(stat -c '0x%t 0x%T' "/dev/$device")
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/lock run/netns run/before
if [ -e "$3" ]; then cp "$3" run/host-certificates.crt; fi
pivot_root . run/before
cd /
umount -l /run/before
rmdir /run/before
"""
    + OUTSIDE_NETWORK
    + """echo "$outer"
while read -r _ <&3; do :; done
"""
)
_NEEDED = ("iproute2",)
"""Debian's minbase has no `ip`."""
_JOIN = 'echo 0 >"/proc/$1/root/sys/fs/cgroup/init/cgroup.procs" && shift && exec "$@"'


class DebianHost(Lab):
    """A host with a Debian release's minbase and these packages; nothing of ours is in it.

    All that a Lab has, here too: run, out, path, write, start, netns, links, fetch, left ...; its networks as well
    (OUTSIDE_V4 is a namespace `outside`). Online, a command has the network of the machine: for apt-get, pip, git.
    """

    def __init__(self, name: str, release: str, *packages: str) -> None:
        folder = tree(release, *_NEEDED, *packages).parent
        unshare = ("unshare", "-nmpf", "--propagation", "private", "--kill-child")
        self._hold(name, *unshare, "sh", "-c", _BUILD, "sh", str(folder), name, certificates())

    def command(self, *argv: str, cwd: str = "/", inside: str = "") -> list[str]:
        return ["sh", "-c", _JOIN, "sh", str(self.pid), *super().command(*argv, cwd=cwd, inside=inside)]

    def run(
        self,
        *argv: str,
        cwd: str = "/",
        inside: str = "",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        return super().run(*argv, cwd=cwd, inside=inside, stdin=stdin, env=environment() if env is None else env)

    def online(self, *argv: str, patience: float = HANGS) -> str:
        """stdout of a command that has to succeed, within so many seconds, and may use the network of the machine."""
        enter = ("nsenter", "-t", str(self.pid), "-m", "-p", "--wdns=/", "--")
        done = subprocess.run(
            ["sh", "-c", _JOIN, "sh", str(self.pid), *enter, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment({"DEBIAN_FRONTEND": "noninteractive"}),
            check=False,
            timeout=patience,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    def put(self, source: Path, target: str, mode: int = 0o755) -> str:
        """Copy a file of the machine to a path of the host; gives that path back."""
        there = self.path(target)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, there)
        there.chmod(mode)
        return target
