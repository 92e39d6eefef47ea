"""Docker's containers without a network of Docker's, each given one by `calico-rkt attach`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.attaching import CALICO, OVERRIDE, address, calico, holds_policy, network
from tests.clients.support.docker import docker
from tests.clients.support.lab import SERVE, conf, environment, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

PACKAGES = ("docker.io", "iptables", "nftables", "conntrack", "python3", "libnftables1", "busybox-static")
ROOTFS = "/run/box"


BOX = f"""
mkdir -p {ROOTFS}/bin {ROOTFS}/www {ROOTFS}/tmp
cp /bin/busybox {ROOTFS}/bin/busybox
for applet in httpd sh sleep; do ln -s busybox {ROOTFS}/bin/$applet; done
echo reached >{ROOTFS}/www/index.html
"""


@pytest.fixture
def host(debian: Callable[..., DebianHost], binary: Path) -> DebianHost:
    """Two networks, of which back reaches one port of web."""
    made = debian("bookworm", *PACKAGES)
    made.put(binary, CALICO)
    made.override("web", OVERRIDE)
    for name, subnet in (("web", "10.1.0.0/24"), ("back", "10.2.0.0/24")):
        network(made, conf(name, pool(subnet)))
    made.out("sh", "-c", BOX)
    return made


def test_a_container_of_docker_has_policy_until_it_is_gone(host: DebianHost) -> None:
    runtime = docker(host, ROOTFS)
    host.netns("peer")
    calico(host, "attach", "back", "peer")
    runtime.run("server", *SERVE)
    server = address(host, "web", runtime.netns("server"), "--id", "server")

    until(lambda: host.fetch(server, 9090), "the host reaches its containers")
    assert not host.fetch(server, 8080, inside="peer", wait=1), "Docker drops what it does not know"
    for cure in cures(host):
        host.out(*cure.split())
    holds_policy(host, server)
    assert cures(host) == [], "nothing blocks any more"

    runtime("restart", "-t", "0", "server")
    second = address(host, "web", runtime.pid("server"), "--id", "server")
    assert second != server
    holds_policy(host, second)

    runtime("rm", "-f", "server")
    assert "freed web server eth0" in calico(host, "gc")
    runtime.run("next", *SERVE)
    holds_policy(host, address(host, "web", runtime.netns("next")))
    calico(host, "detach", "web", runtime.netns("next"))
    calico(host, "detach", "back", "peer")
    assert host.left() == {}


def cures(host: DebianHost) -> list[str]:
    """The commands that `status` has for what blocks forwarding."""
    said = host.run(CALICO, "status", env=environment()).stdout.decode()
    return [line.rpartition("; ")[2] for line in said.splitlines() if line.startswith("blocked: ")]
