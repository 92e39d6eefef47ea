"""podman with the CNI backend: two networks, and a port that portmap publishes behind this plugin."""

from __future__ import annotations

import pytest

from tests.clients.support.lab import (
    HOST_V4,
    IDLE,
    OUTSIDE_V4,
    PLUGINS,
    SERVE,
    Lab,
    conf,
    fetching,
    pool,
    reached,
    until,
)
from tests.clients.support.podman import Podman

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"), ipMasq=True)
FRONT = conf("frontend", pool("10.2.0.0/24"))
SHUT = conf("shut", pool("10.3.0.0/24"))
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    destination: {ports: [8080]}
  - default
"""


@pytest.fixture
def podman(lab: Lab) -> Podman:
    """podman with three networks; web has an override that lets everybody in at one port."""
    lab.override("web", OVERRIDE)
    started = Podman(lab)
    for network in (WEB, FRONT, SHUT):
        started.network(network, PORTMAP)
    return started


def address(podman: Podman, name: str, interface: str = "eth0") -> str:
    """The container's address as the container sees it."""
    done = podman.execute(name, "ip", "-4", "-o", "address", "show", "dev", interface)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()[3].partition("/")[0]


def fetches(podman: Podman, name: str, target: str, port: int, wait: int = 30) -> bool:
    """Whether a container gets the page of another; one second is enough to see that packets are dropped."""
    return reached(podman.execute(name, *fetching(target, port, wait)))


def test_two_networks_are_apart_but_for_the_override_s_port(lab: Lab, podman: Podman) -> None:
    podman.run("web", "server", *SERVE)
    podman.run("web", "peer", *IDLE)
    podman.run("frontend", "client", *SERVE)
    server, client = address(podman, "server"), address(podman, "client")
    until(lambda: lab.fetch(server, 9090), "the host reaches its containers")

    assert fetches(podman, "peer", server, 9090), "the same network reaches"
    assert fetches(podman, "client", server, 8080), "the override opens this port"
    assert not fetches(podman, "client", server, 9090, wait=1), "and only this one"
    assert lab.fetch(client, 8080), "the host reaches its containers"
    assert not fetches(podman, "server", client, 8080, wait=1), "and only in this direction"

    for name in ("server", "peer", "client"):
        podman.stop(name)
    assert lab.left() == {}


def test_a_published_port_is_reachable_once_the_override_lets_the_outside_in(lab: Lab, podman: Podman) -> None:
    podman.run("shut", "server", *SERVE, options=("-p", "8001:8080", "-p", "8002:9090"))
    server = address(podman, "server")
    until(lambda: lab.fetch(server, 9090), "the host reaches its containers")
    assert lab.fetch(HOST_V4, 8001, wait=30), "by their published ports, too"
    assert not lab.fetch(HOST_V4, 8001, inside="outside", wait=1), "published, but no override"

    lab.override("shut", OVERRIDE.replace("web", "shut"))
    assert not lab.fetch(HOST_V4, 8001, inside="outside", wait=1), "an override is only a file until it is applied"
    lab.out(f"{PLUGINS}/calico", "apply", "--yes", "--confs", podman.networks)
    assert lab.fetch(HOST_V4, 8001, inside="outside", wait=30), "let in by the override"
    assert not lab.fetch(HOST_V4, 8002, inside="outside", wait=1), "published, but not let in"

    assert lab.flows(server), "or there is nothing to forget"
    podman.stop("server")
    assert lab.left() == {}
    podman.run("shut", "next", *IDLE, options=("--ip", server))
    assert lab.flows(server) == [], "a former holder's flows open nothing to the next one"
    podman.stop("next")


def test_a_container_in_two_networks_obeys_each_at_its_interface(lab: Lab, podman: Podman) -> None:
    podman.run("frontend,shut", "both", *SERVE)
    podman.run("shut", "peer", *IDLE)
    podman.run("web", "stranger", *IDLE)
    addresses = {address(podman, "both", interface) for interface in ("eth0", "eth1")}
    (shut,) = (a for a in addresses if a.startswith("10.3."))
    (front,) = (a for a in addresses if a.startswith("10.2."))
    until(lambda: lab.fetch(shut, 9090) and lab.fetch(front, 9090), "the host reaches both")
    assert fetches(podman, "peer", shut, 8080), "the same network reaches"
    assert not fetches(podman, "peer", front, 8080, wait=1), "through the other interface it does not"
    assert not fetches(podman, "stranger", shut, 8080, wait=1)
    for name in ("both", "peer", "stranger"):
        podman.stop(name)
    assert lab.left() == {}


def test_a_container_reaches_the_outside_under_the_host_s_address(lab: Lab, podman: Podman) -> None:
    """The outside has no way back to this range, as in the world: ipMasq is what makes the reply arrive."""
    lab.out("ip", "route", "delete", "default", inside="outside")
    podman.run("web", "client", *IDLE)
    assert podman.execute("client", "ping", "-c", "1", "-W", "5", OUTSIDE_V4).returncode == 0
    podman.stop("client")
    assert lab.left() == {}
