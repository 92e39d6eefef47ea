"""systemd-nspawn and `podman --network ns:`: containers in a namespace that `calico-rkt attach` gave a network."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.clients.support.attaching import OVERRIDE, address, calico, holds_policy, network
from tests.clients.support.lab import SERVE, Lab, conf, environment, pool, until
from tests.clients.support.podman import Podman

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


@pytest.fixture
def host(lab: Lab) -> Lab:
    """Two networks, of which back reaches one port of web; peer is in back, and c1 in none."""
    lab.override("web", OVERRIDE)
    for name, subnet in (("web", "10.1.0.0/24"), ("back", "10.2.0.0/24")):
        network(lab, conf(name, pool(subnet)))
    for name in ("c1", "peer"):
        lab.netns(name)
    calico(lab, "attach", "back", "peer")
    return lab


def nspawn(lab: Lab) -> subprocess.Popen[bytes]:
    tree = lab.path("/run/lab/machine")
    if not tree.exists():
        lab.out("cp", "-a", "/run/lab/rootfs", "/run/lab/machine")
        lab.write("/run/lab/machine/etc/os-release", "ID=busybox\n")
        (tree / "usr").mkdir()
    return lab.start(
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "-D", "/run/lab/machine", "-M", lab.name),
        *("--network-namespace-path=/run/netns/c1", *SERVE),
        env=environment(),
    )


def end(lab: Lab, inside: str) -> None:
    """Kill whoever runs in a namespace, and wait until it is gone."""

    def gone() -> bool:
        pids = lab.out("ip", "netns", "pids", inside).split()
        if pids:
            lab.run("kill", "-9", *pids)
        return not pids

    until(gone, f"nobody runs in {inside}")


def podman(lab: Lab) -> Callable[[], None]:
    """Start it; what takes it away."""
    started = Podman(lab)
    started.run("ns:/run/netns/c1", "server", *SERVE)
    return lambda: started.stop("server")


def test_a_machine_of_systemd_nspawn_has_the_network_of_its_namespace(host: Lab) -> None:
    server = address(host, "web", "c1")
    machine = nspawn(host)
    holds_policy(host, server)
    end(host, "c1")
    machine.wait()

    again = nspawn(host)
    holds_policy(host, server)
    end(host, "c1")
    again.wait()
    calico(host, "detach", "web", "c1")
    calico(host, "detach", "back", "peer")
    assert host.left() == {}


def test_a_container_of_podman_has_the_network_of_its_namespace(host: Lab) -> None:
    server = address(host, "web", "c1")
    stop = podman(host)
    holds_policy(host, server)
    stop()
    assert host.links(inside="c1") == {"lo", "eth0"}, "podman leaves a namespace that it was given"

    host.out("ip", "netns", "del", "c1")
    calico(host, "gc")
    calico(host, "detach", "back", "peer")
    assert host.left() == {}
