"""README.md's commands, literally, by somebody who has a bare Debian 12 and copies line after line."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.chroots.runc import without_controllers
from tests.clients.support.cri import pause
from tests.clients.support.crictl import crictl
from tests.clients.support.lab import Lab, environment, until
from tests.clients.support.oci_image import image
from tests.clients.support.readme import commands, follow
from tests.clients.support.rkt import Rkt

ROOT = Path(__file__).resolve().parents[2]
OPEN = "Open a port, review the change, apply it"
# This sandbox's limits, not Debian's: no controllers for control groups, no overlay on an overlay, no new limits.
_PODMAN_HERE = """[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE_HERE = """[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
# No systemd is here, the limit of a score can't be lowered, and a file system in memory takes the layers of images.
_SYSTEMCTL = """#!/bin/sh
set -eu
[ "$*" = "restart containerd" ]
cd /run
if [ -e containerd.pid ]; then kill "$(cat containerd.pid)"; else
    mkdir -p /var/lib/containerd
    mount -t tmpfs tmpfs /var/lib/containerd
fi
while ctr version >/dev/null 2>&1; do sleep 0.1; done
here='/^ *\\[plugins."io.containerd.grpc.v1.cri"\\]/a restrict_oom_score_adj = true'
sed "$here" /etc/containerd/config.toml >here.toml
setsid sh -c 'echo $$ >containerd.pid; exec containerd -c here.toml' </dev/null >/var/log/containerd.log 2>&1 &
for _ in $(seq 300); do ctr version >/dev/null 2>&1 && exit; sleep 0.1; done
exit 1
"""
_PIP = Path("/etc/pip.conf")
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_FETCH = ("timeout", "5", "/bin/busybox", "wget", "-q", "-O", "/dev/null")


def bare(debian: Callable[..., DebianHost]) -> DebianHost:
    """A bare Debian 12 with a clone of this repository, and this machine's way to Python's packages."""
    host = debian("bookworm")
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    tracked = b"\0".join(n for n in names.split(b"\0") if n and (ROOT / os.fsdecode(n)).exists())
    tar = subprocess.run(
        ["tar", "-C", str(ROOT), "--null", "-T", "-", "-c"], input=tracked, check=True, capture_output=True
    ).stdout
    host.path("/root/calico-rkt").mkdir()
    unpacked = host.run("tar", "-x", "--no-same-owner", "-C", "/root/calico-rkt", stdin=tar)
    assert unpacked.returncode == 0, unpacked.stderr.decode()
    if _PIP.exists():  # its certificates beside Debian's, which a package may write anew
        conf = _PIP.read_text()
        host.write("/etc/pip.conf", conf.replace(_CERTIFICATES, "/root/machine.crt"))
        if _CERTIFICATES in conf:
            shutil.copyfile(_CERTIFICATES, host.path("/root/machine.crt"))
    return host


def opens(host: DebianHost, fetch: Callable[[], bool]) -> None:
    """Follow the section that opens the port: until `apply` it is closed, then it is open, and is said to be."""
    assert not fetch(), "closed before"
    said = follow(host, OPEN).stdout.decode()
    assert "2 networks checked: nothing to say" in said
    assert "back -> web: ALLOWED" in said
    assert "ingress of web: /etc/calico-rkt/profiles/web.yaml:3 Allow TCP" in said
    assert "newly allowed:\n  back -> web: TCP port 8080\n" in said
    assert "applied: web\n" in said
    assert re.search(r"^web +in step +1 +yes$", said, re.MULTILINE), said
    assert fetch(), "open after"


def podman(host: DebianHost) -> None:
    """The section about podman, and what it leads to."""
    host.online("apt-get", "install", "-y", "--no-install-recommends", "runc")
    host.write("/etc/containers/containers.conf.d/here.conf", _PODMAN_HERE)
    host.write("/etc/containers/storage.conf", _STORAGE_HERE)
    assert follow(host, "podman").stdout.decode().endswith("web is closed\n")
    fetch = ("exec", "back", "busybox", *_FETCH, "http://10.91.0.1:8080/busybox")
    opens(host, lambda: host.run("podman", *fetch).returncode == 0)
    host.out("podman", "rm", "-fa", "-t", "0")
    assert host.left() == {}


def containerd(host: DebianHost) -> None:
    """The section about containerd: a service of Debian's, which nobody but this test starts here."""
    without_controllers(host)

    def serve() -> None:
        host.start("containerd", env=environment())
        until(lambda: host.run("ctr", "version").returncode == 0, "containerd answers")

    assert follow(host, "containerd", serve).stdout.decode().endswith("web is closed\n")
    numbers = itertools.count(2)

    def fetch() -> bool:
        asked = ("ctr", "task", "exec", "--exec-id", str(next(numbers)), "back", "/bin/busybox", *_FETCH)
        return host.run(*asked, "http://10.91.0.1:8080/busybox").returncode == 0

    opens(host, fetch)
    for name in ("web", "back"):
        host.out("ctr", "task", "kill", "-s", "SIGKILL", name)
        until(lambda task=name: host.run("ctr", "task", "delete", task).returncode == 0, f"{name} has ended")
    assert host.left(), "as the page says: ctr detaches nothing that it left in the background"
    host.out("calico-rkt", "detach", "back", "back")
    assert host.out("calico-rkt", "gc").count("freed ") == 1
    assert host.left() == {}


def cri(host: DebianHost) -> None:
    """The section about containerd's CRI. Its crictl and its two images are made here, not fetched."""
    without_controllers(host)

    def serve_and_fetch() -> None:
        host.put(crictl(), "/usr/local/bin/crictl")
        host.path(host.write("/usr/local/sbin/systemctl", _SYSTEMCTL)).chmod(0o755)
        host.out("systemctl", "restart", "containerd")
        box = {
            f"bin/{name}": host.path("/bin/busybox").read_bytes() for name in ("busybox", "httpd", "timeout", "wget")
        }
        for name, files, command in (
            (_sandbox_image(host), {"pause": pause(host)}, "/pause"),
            ("docker.io/library/busybox:latest", box, "/bin/busybox"),
        ):
            host.path("/tmp/image.tar").write_bytes(image(name, files, command))
            host.out("ctr", "-n", "k8s.io", "images", "import", "/tmp/image.tar")

    host.online("apt-get", "install", "-y", "--no-install-recommends", "busybox-static")
    assert follow(host, "containerd's CRI", serve_and_fetch).stdout.decode().endswith("web is closed\n")
    back = host.out("sh", "-c", "crictl ps -q --pod $(crictl pods -q --name back)").strip()
    opens(host, lambda: host.run("crictl", "exec", back, *_FETCH, "http://10.91.0.1:8080/busybox").returncode == 0)
    host.out("crictl", "rmp", "-fa")
    assert host.left() == {}


def _sandbox_image(host: DebianHost) -> str:
    """The name of the image that this containerd holds a pod's namespaces with."""
    found = re.search(r'sandbox_image = "(.*)"', host.out("containerd", "config", "default"))
    assert found
    return found[1]


@pytest.mark.kernel
@pytest.mark.clients
@pytest.mark.slow
@pytest.mark.parametrize("section", [podman, containerd, cri], ids=lambda section: section.__name__)
def test_a_stranger_s_first_ten_minutes(
    debian: Callable[..., DebianHost], section: Callable[[DebianHost], None]
) -> None:
    host = bare(debian)
    follow(host, "Two commands")
    section(host)


@pytest.mark.kernel
@pytest.mark.clients
def test_rkt_s_confs_are_what_rkt_reads(lab: Lab) -> None:
    """The section's own files through rkt's contract; installing for rkt is tried where install is."""
    lines = [line for line in commands("rkt").splitlines(keepends=True) if not line.startswith(("dist/", "compile-"))]
    lab.out("mkdir", "/opt/bin")
    lab.out("ln", "-s", "/opt/cni/bin/calico", "/opt/bin/calico-rkt")
    lab.out("sh", "-euc", "PATH=/opt/bin:$PATH\n" + "".join(lines))
    stage0 = Rkt(lab)
    first, second = (lab.path(f"/etc/rkt/net.d/{name}").read_bytes() for name in ("10-web.conf", "20-back.conf"))
    pod = stage0.pod()
    web, back = stage0.setup(pod, stage0.net("10-web.conf", first), stage0.net("20-back.conf", second))
    assert (web.ip.rpartition(".")[0], back.ip.rpartition(".")[0]) == ("10.91.0", "10.92.0")
    stage0.collect(pod)
    assert (pod.failures, lab.left()) == ([], {})
