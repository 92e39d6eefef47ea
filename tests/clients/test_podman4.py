"""podman 4 of Debian 12 as it is installed: its prune against kept confs, and containers of a user without root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.debian_podman import USER
from tests.clients.support.lab import HOST_V4, IDLE, SERVE, conf, fetching, pool, reached, until
from tests.clients.support.podman4 import PACKAGES, Podman4, furnish

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

WEB = conf("web", pool("10.1.0.0/24"))
BACK = conf("back", pool("10.2.0.0/24"))
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    source: {network: back}
    destination: {ports: [8080]}
  - default
"""


@pytest.fixture
def host(debian: Callable[..., DebianHost], binary: Path) -> DebianHost:
    made = debian("bookworm", *PACKAGES)
    furnish(made, binary)
    made.override("web", OVERRIDE)
    return made


def fetches(podman: Podman4, name: str, target: str, port: int, wait: int = 30) -> bool:
    return reached(podman.execute(name, *fetching(target, port, wait)))


def test_what_prune_deletes_is_told_and_put_back(host: DebianHost) -> None:
    podman = Podman4(host)
    for network in (WEB, BACK):
        host.write(f"/etc/calico-rkt/networks/10-{network['name']}.conflist", podman.network(network, PORTMAP))
    podman.run("back", "kept", *IDLE)
    podman.out("network", "prune", "--force")
    assert [p.name for p in sorted(host.path("/etc/cni/net.d").glob("10-*"))] == ["10-back.conflist"]
    done = host.run("calico-rkt", "status")
    assert done.returncode == 1
    assert b"CR724 warning: the network 'web' has its conf here alone" in done.stderr

    assert "put back /etc/cni/net.d/10-web.conflist" in host.out("calico-rkt", "restore")
    podman.run("web", "server", *SERVE)
    server = podman.address("server")
    until(lambda: host.fetch(server, 9090), "the host reaches its containers")
    assert fetches(podman, "kept", server, 8080), "the override opens this port"
    assert not fetches(podman, "kept", server, 9090, wait=1), "and only this one"

    host.path("/etc/cni/net.d/10-web.conflist").unlink()
    podman.out("rm", "--force", "--time", "0", "server")
    podman.out("network", "rm", "--force", "back")
    assert host.left() == {}, "podman's cache has the conf of the ADD"
    assert host.run("calico-rkt", "restore").returncode == 0
    assert [p.name for p in sorted(host.path("/etc/cni/net.d").glob("10-*"))] == ["10-back.conflist", "10-web.conflist"]


def test_a_user_without_root_has_networks_that_are_apart(host: DebianHost) -> None:
    podman = Podman4(host, USER)
    for network in (WEB, BACK):
        podman.network(network, PORTMAP)
    host.out("chown", "-R", USER, podman.networks)
    podman.run("web", "server", *SERVE, options=("-p", "8001:9090"))
    podman.run("web", "peer", *IDLE)
    podman.run("back", "client", *IDLE)
    server = podman.address("server")
    until(lambda: fetches(podman, "peer", server, 9090), "the same network reaches")
    assert fetches(podman, "client", server, 8080), "the host's override opens this port"
    assert not fetches(podman, "client", server, 9090, wait=1), "and only this one"
    assert host.left() == {}, "all of it is in the user's own namespaces"
    told = podman.inside("/usr/lib/cni/calico", "status", "--confs", podman.networks)
    assert {line.split()[0] for line in told.splitlines() if "in step" in line} == {"web", "back"}
    assert host.fetch(HOST_V4, 8001, inside="outside", wait=30), "a published port is open whatever policy says: docs"

    podman.out("rm", "--force", "--time", "0", "server", "peer", "client")
    assert not [line for line in podman.inside("ip", "-o", "link").splitlines() if "crk" in line]
