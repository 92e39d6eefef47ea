"""containerd's `ctr run --cni` with containers in two networks of this plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product

import pytest

from tests.clients.support.containerd import Containerd, containerd
from tests.clients.support.lab import IDLE, OUTSIDE_V4, SERVE, Lab, conf, fetching, pool, reached, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
FRONT = conf("frontend", pool("10.2.0.0/24"))
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    source: {network: frontend}
    destination: {ports: [8080]}
  - default
"""


@pytest.fixture
def runtime(lab: Lab) -> Iterator[Containerd]:
    with containerd(lab) as started:
        yield started


def address(runtime: Containerd, name: str, family: str = "-4") -> str:
    """The container's address as the container sees it."""
    done = runtime.execute(name, "ip", family, "-o", "address", "show", "dev", "eth0", "scope", "global")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()[3].partition("/")[0]


def fetches(runtime: Containerd, name: str, target: str, port: int, wait: int = 30) -> bool:
    """Whether a container gets the page of another; one second is enough to see that packets are dropped."""
    return reached(runtime.execute(name, *fetching(target, port, wait)))


def test_two_networks_are_apart_but_for_the_override_s_port(lab: Lab, runtime: Containerd) -> None:
    lab.override("web", OVERRIDE)
    runtime.run(WEB, "server", *SERVE)
    runtime.run(WEB, "peer", *SERVE)
    runtime.run(FRONT, "client", *SERVE)
    server, client = address(runtime, "server"), address(runtime, "client")

    for container, port in product((server, client), (8080, 9090)):
        until(lambda ip=container, at=port: lab.fetch(ip, at), "the host reaches its containers")

    assert fetches(runtime, "peer", server, 9090), "the same network reaches"
    assert fetches(runtime, "client", server, 8080), "the override opens this port"
    assert not fetches(runtime, "client", server, 9090, wait=1), "and only this one"
    assert not fetches(runtime, "server", client, 8080, wait=1), "and only in this direction"

    assert not lab.fetch(server, 8080, inside="outside", wait=1), "the outside does not"
    assert runtime.execute("client", "ping", "-c", "1", "-W", "5", OUTSIDE_V4).returncode == 0, "but is reached"

    assert lab.flows(server), "or there is nothing to forget"
    for name in ("server", "peer", "client"):
        runtime.stop(name)
    assert lab.left() == {}
    only = {"subnet": "10.1.0.0/24", "rangeStart": server, "rangeEnd": server}
    runtime.run(conf("web", {"type": "host-local", "ranges": [[only]]}), "next", *IDLE)
    assert address(runtime, "next") == server
    assert lab.flows(server) == [], "a former holder's flows open nothing to the next one"
    runtime.stop("next")


def test_a_dual_stack_container_has_and_loses_both_addresses(lab: Lab, runtime: Containerd) -> None:
    dual = conf("dual", pool("10.1.0.0/24", "fd00:1::/64"))
    runtime.run(dual, "server", *SERVE)
    runtime.run(dual, "peer", *IDLE)
    for family in ("-4", "-6"):
        server = address(runtime, "server", family)
        until(lambda ip=server: lab.fetch(ip, 9090), "the host reaches its containers")
        assert fetches(runtime, "peer", server, 8080), server
        assert not lab.fetch(server, 8080, inside="outside", wait=1), server
    runtime.stop("server")
    runtime.stop("peer")
    assert lab.left() == {}


def test_a_container_that_is_killed_again_and_again_leaves_nothing(lab: Lab, runtime: Containerd) -> None:
    seen = []
    for _ in range(3):
        runtime.run(WEB, "again", *IDLE)
        seen.append(address(runtime, "again"))
        runtime.stop("again")
    assert len(set(seen)) == 3, "addresses go round before they come back"
    assert lab.left() == {}


def test_a_refused_network_fails_the_container_with_the_plugin_s_words(lab: Lab, runtime: Containerd) -> None:
    on_host = conf("clash", pool("192.0.2.0/24"))
    lab.write("/etc/cni/net.d/10-clash.conf", json.dumps(on_host))
    cgroup = ("--cgroup", f"/{lab.name}/clash")
    done = runtime.ctr("run", "--rm", "--cni", *cgroup, "--rootfs", "/run/lab/rootfs", "clash", "/bin/echo")
    assert done.returncode != 0
    assert b"192.0.2." in done.stderr
    assert lab.left() == {}
