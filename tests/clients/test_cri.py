"""containerd's CRI, asked by a real crictl as a kubelet asks it: pods in two networks, ports, removal, a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.support.attaching import CALICO, OVERRIDE, network
from tests.clients.support.cri import SECOND, Cri, Daemon, cri
from tests.clients.support.crictl import crictl
from tests.clients.support.lab import HOST_V4, Lab, conf, environment, fetching, pool, reached, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
FOLDERS = ("--confs", "/etc/cni/net.d", "--confs", SECOND)
OUTSIDE = "  - {action: Allow, protocol: TCP, source: {notSelector: all()}, destination: {ports: [8080]}}\n"


@pytest.fixture
def runtime(lab: Lab) -> Iterator[tuple[Cri, Daemon]]:
    """Handlers of two networks, of which back reaches one port of web."""
    lab.override("web", OVERRIDE)
    network(lab, conf("web", pool("10.1.0.0/24")), PORTMAP)
    network(lab, conf("back", pool("10.2.0.0/24")), folder=SECOND)
    with cri(lab, crictl()) as started:
        yield started


def fetches(pods: Cri, pod: str, target: str, port: int, wait: int = 30) -> bool:
    return reached(pods.execute(pod, *fetching(target, port, wait)))


def policy_holds(lab: Lab, pods: Cri, web: str, back: str) -> None:
    server = pods.address(web)
    until(lambda: lab.fetch(server, 9090), "the host reaches its pods")
    assert fetches(pods, back, server, 8080), "the override opens this port"
    assert not fetches(pods, back, server, 9090, wait=1), "and only this one"
    assert not fetches(pods, web, pods.address(back), 8080, wait=1), "and only in this direction"


def test_pods_of_two_handlers_are_in_two_networks(lab: Lab, runtime: tuple[Cri, Daemon]) -> None:
    pods, _ = runtime
    web, peer, back = pods.run("web"), pods.run("peer"), pods.run("back", handler="back")
    assert pods.address(web).startswith("10.1.0.")
    assert pods.address(back).startswith("10.2.0.")
    policy_holds(lab, pods, web, back)
    assert fetches(pods, peer, pods.address(web), 9090), "the same network reaches"

    said = lab.run(CALICO, "status", *FOLDERS, env=environment())
    assert said.returncode == 0, said.stdout.decode()
    assert said.stdout.count(b"in step") == 2
    for pod in (web, peer, back):
        pods.remove(pod)
    assert lab.left() == {}


def test_a_host_port_is_there_once_policy_lets_the_outside_in(lab: Lab, runtime: tuple[Cri, Daemon]) -> None:
    pods, _ = runtime
    web = pods.run("web", ports={8001: 8080, 8002: 9090})
    until(lambda: lab.fetch(pods.address(web), 9090), "the host reaches its pods")
    assert not lab.fetch(HOST_V4, 8001, inside="outside", wait=1), "mapped, and denied"
    lab.override("web", OVERRIDE.replace("  - default\n", f"{OUTSIDE}  - default\n"))
    assert lab.run(CALICO, "apply", "--yes", *FOLDERS, env=environment()).returncode == 0
    assert lab.fetch(HOST_V4, 8001, inside="outside", wait=30)
    assert not lab.fetch(HOST_V4, 8002, inside="outside", wait=1), "mapped, but not let in"
    address = pods.address(web)
    pods.remove(web)
    assert address not in lab.out("iptables-save")
    assert lab.left() == {}


def test_pods_outlive_a_restart_of_containerd_and_are_removed_after_it(lab: Lab, runtime: tuple[Cri, Daemon]) -> None:
    pods, daemon = runtime
    web, back = pods.run("web"), pods.run("back", handler="back")
    before = pods.address(web)
    daemon.stop()
    daemon.start(lambda: pods("info").returncode == 0)
    assert pods.address(web) == before
    policy_holds(lab, pods, web, back)
    late = pods.run("late")
    assert fetches(pods, late, before, 9090), "the same network reaches"
    for pod in (web, back, late):
        pods.remove(pod)
    assert lab.left() == {}


def test_a_pod_that_is_refused_says_why_and_leaves_nothing(lab: Lab, runtime: tuple[Cri, Daemon]) -> None:
    pods, _ = runtime
    network(lab, conf("back", pool("192.0.2.0/24")), folder=SECOND)
    until(lambda: b"192.0.2." in _refusal(pods), "containerd has read the new conf")
    assert lab.left() == {}


def _refusal(pods: Cri) -> bytes:
    """What is said of a pod of the handler `back` that can't be."""
    try:
        pods.remove(pods.run("clash", handler="back"))
    except AssertionError as e:
        return str(e).encode()
    return b""
