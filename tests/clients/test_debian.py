"""The hosts that tests of whole hosts stand on: a Debian release in a chroot, its own, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.attaching import CALICO, network
from tests.clients.support.lab import conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

RULES = """network: web
ingress:
  - {action: Allow, protocol: TCP, destination: {ports: [8080]}}
  - {action: Allow, protocol: UDP, source: {notNets: [10.9.0.0/16]}, destination: {ports: [53, "100:200"]}}
  - {action: Allow, protocol: ICMP, icmp: {type: 8}}
  - {action: Allow, protocol: SCTP, destination: {ports: [9]}}
  - {action: Allow, protocol: 47}
  - {action: Log, notProtocol: TCP}
  - default
"""


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


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_python_and_libnftables_are_all_that_a_host_needs(
    debian: Callable[..., DebianHost], binary: Path, release: str
) -> None:
    """No names of protocols, which are in Debian's netbase: libnftables looks them up by number then, or refuses."""
    host = debian(release, "python3", "libnftables1")
    host.out("rm", "-f", "/etc/protocols")  # Debian 13's python3 brings it
    host.put(binary, CALICO)
    network(host, conf("web", pool("10.1.0.0/24", "fd00:1::/64")))
    host.override("web", RULES)
    host.netns("c1")
    for command in ("attach web c1", "status", "restore", "status", "detach web c1"):
        done = host.run(CALICO, *command.split())
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
