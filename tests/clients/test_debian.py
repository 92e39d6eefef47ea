"""The hosts that tests of whole hosts stand on: a Debian release in a chroot, its own, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]


@pytest.mark.parametrize(("release", "version"), [("bookworm", "12"), ("trixie", "13")])
def test_a_host_is_of_its_release_and_alone(debian: Callable[..., DebianHost], release: str, version: str) -> None:
    one, other = debian(release), debian(release)
    assert one.out("cat", "/etc/debian_version").startswith(version)
    one.write("/etc/here", "x")
    assert not other.path("/etc/here").exists()
    assert one.links() == {"lo", "out0"}
    assert one.run("ping", "-c1", "192.0.2.9").returncode == 127, "minbase and what was named, no more"
    assert one.out("cat", "/proc/1/comm") == "sh\n"
    assert one.out("sh", "-c", "cat /proc/self/cgroup; cat /proc/self/mountinfo").count(" / / ") == 1


def test_what_a_host_installs_online_stays_its_own(debian: Callable[..., DebianHost], binary: Path) -> None:
    host = debian("bookworm", "python3", "libnftables1")
    assert host.out(host.put(binary, "/opt/cni/bin/calico"), "--version").startswith("calico-rkt ")
    host.online("apt-get", "update")
    host.online("apt-get", "install", "-y", "--no-install-recommends", "iputils-ping")
    host.out("ping", "-c1", "-W5", "192.0.2.9")
    assert debian("bookworm", "python3", "libnftables1").run("which", "ping").returncode == 1
