"""podman 5 and netavark of Debian 13: networks of ours through the driver plugin, and what netavark asks of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.agent import Agent
from tests.clients.support.debian_podman import HOME, USER, DebianPodman, make_user
from tests.clients.support.lab import HOST_V4, IDLE, SERVE, conf, fetching, pool, reached, until
from tests.clients.support.podman5 import PACKAGES, Podman5

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

WEB = conf("web", pool("10.1.0.0/24"))
FRONT = conf("frontend", pool("10.2.0.0/24", "2001:db8:2::/64"))
SHUT = conf("shut", pool("10.3.0.0/24"))
IN_ORDER = ";".join(f"{name}:interface_name=eth{n}" for n, name in enumerate(("shut", "web", "frontend")))
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    destination: {ports: [8080]}
  - default
"""


@pytest.fixture(params=["alone", "agent"])
def podman(debian: Callable[..., DebianHost], binary: Path, request: pytest.FixtureRequest) -> Iterator[Podman5]:
    """podman 5 with three networks, of which web has an override; each call alone, or served by an agent."""
    started = Podman5(debian("trixie", *PACKAGES), binary)
    agent = Agent(started.host, binary="calico-rkt").start() if request.param == "agent" else None
    started.host.override("web", OVERRIDE)
    started.network(WEB, PORTMAP)
    started.network(FRONT)
    started.network(SHUT, PORTMAP)
    yield started
    assert agent is None or agent.is_running()


def fetches(podman: Podman5, name: str, target: str, port: int, wait: int = 30) -> bool:
    """Whether a container gets the page of another; one second is enough to see that packets are dropped."""
    return reached(podman.execute(name, *fetching(target, port, wait)))


def explained(podman: Podman5, one: str, other: str, port: int) -> bool:
    """Whether the review says that one network reaches a port of another."""
    answer = podman.host.out("calico-rkt", "explain", one, other, f"tcp/{port}", "--format", "json")
    return json.loads(answer)["cases"][0]["verdict"] == "Allow"


def test_packets_pass_as_explain_says_and_nothing_is_left(podman: Podman5) -> None:
    host = podman.host
    podman.run("web", "server", *SERVE)
    podman.run("web", "peer", *IDLE)
    podman.run("frontend", "client", *SERVE)
    ends = {"server": ("web", podman.address("server")), "client": ("frontend", podman.address("client"))}
    until(lambda: all(host.fetch(address, 9090) for _, address in ends.values()), "the host reaches its containers")
    assert fetches(podman, "peer", ends["server"][1], 9090), "the same network reaches"
    seen = {}
    for one, other in (("client", "server"), ("server", "client")):
        for port in (8080, 9090):
            said = explained(podman, ends[one][0], ends[other][0], port)
            assert fetches(podman, one, ends[other][1], port, wait=30 if said else 1) is said, (one, other, port)
            seen[one, port] = said
    assert seen == {("client", 8080): True, ("client", 9090): False, ("server", 8080): False, ("server", 9090): False}
    podman.stop("server", "peer", "client")
    assert host.left() == {}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_a_published_port_opens_with_an_override_and_is_published_once(podman: Podman5) -> None:
    """netavark tells each network of a container all of its ports; podman 5 numbers interfaces in any order."""
    host = podman.host
    said = podman.run(IN_ORDER, "server", *SERVE, options=("-p", "8001:8080", "-p", "8002-8003:9090-9091"))
    assert "published by network 'shut' (eth0), whose policy decides on them, not by 'web' (eth1)" in said
    address = podman.address("server")
    until(lambda: host.fetch(address, 9090), "the host reaches its containers")
    mapped = [line for line in host.out("iptables", "-t", "nat", "-S").splitlines() if "--to-destination" in line]
    assert len(mapped) == 3
    assert all(f"{address}:" in line for line in mapped), "by the first network's address"
    assert not host.fetch(HOST_V4, 8001, inside="outside", wait=1), "published, but no override"
    host.override("shut", OVERRIDE.replace("web", "shut"))
    assert not host.fetch(HOST_V4, 8001, inside="outside", wait=1), "an override is a file until it is applied"
    host.out("calico-rkt", "apply", "--yes")
    assert host.fetch(HOST_V4, 8001, inside="outside", wait=30), "let in by the override"
    assert not host.fetch(HOST_V4, 8002, inside="outside", wait=1), "published, but not let in"
    podman.stop("server")
    assert "--to-destination" not in host.out("iptables", "-t", "nat", "-S")
    assert host.left() == {}


def test_the_policy_of_the_first_interface_s_network_decides_on_published_ports(podman: Podman5) -> None:
    host = podman.host
    options = ("-p", "8001:8080")
    for networks, first, other, opens in (
        ("shut:eth1;web:eth0", "web", "shut", True),
        ("shut:eth0;web:eth1", "shut", "web", False),
    ):
        said = podman.run(networks.replace(":eth", ":interface_name=eth"), "server", *SERVE, options=options)
        assert f"published by network {first!r} (eth0), whose policy decides on them, not by {other!r} (eth1)" in said
        until(lambda: host.fetch(podman.address("server"), 8080), "the host reaches its containers")
        assert host.fetch(HOST_V4, 8001, inside="outside", wait=30 if opens else 1) is opens
        podman.stop("server")
    assert host.left() == {}


def test_what_is_asked_for_is_honoured(podman: Podman5) -> None:
    podman.run("web:ip=10.1.0.77,mac=02:00:00:00:00:77,interface_name=in0", "fixed", *IDLE)
    assert podman.address("fixed", "in0") == "10.1.0.77"
    assert "02:00:00:00:00:77" in podman.execute("fixed", "ip", "link", "show", "in0").stdout.decode()
    (shown,) = json.loads(podman.out("inspect", "fixed"))
    (there,) = shown["NetworkSettings"]["Networks"].values()
    assert (there["IPAddress"], there["MacAddress"]) == ("10.1.0.77", "02:00:00:00:00:77")
    said = podman.refused(*podman.running("web:ip=10.1.0.77", "second", *IDLE))
    assert "10.1.0.77" in said
    assert "taken" in said or "in use" in said, said
    podman("rm", "--force", "second")
    podman.stop("fixed")
    assert podman.host.left() == {}


def test_networks_come_and_go_while_a_container_runs(podman: Podman5) -> None:
    host = podman.host
    podman.run("web", "server", *SERVE)
    podman.run("shut", "peer", *IDLE)
    podman.out("network", "connect", "shut", "server")
    address = podman.address("server", "eth1")
    assert fetches(podman, "peer", address, 9090), "the same network reaches"
    podman.out("network", "disconnect", "web", "server")
    assert podman.execute("server", "ip", "link", "show", "eth0").returncode != 0
    assert fetches(podman, "peer", address, 9090), "the other interface stays"
    podman.out("restart", "--time", "0", "server")
    address = podman.address("server", "eth1")
    assert fetches(podman, "peer", address, 9090), "and is there again after a restart"
    podman.out("network", "reload", "server")
    assert fetches(podman, "peer", podman.address("server", "eth1"), 9090)
    podman.stop("server", "peer")
    assert host.left() == {}


def test_a_failure_in_the_second_network_takes_the_first_back(podman: Podman5) -> None:
    host = podman.host
    said = podman.refused(*podman.running("web;frontend:ip=10.9.9.9", "half", *IDLE))
    assert "10.9.9.9" in said
    podman("rm", "--force", "half")
    assert host.left() == {}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_what_netavark_leaves_whose_namespace_is_gone_is_freed_by_gc(podman: Podman5) -> None:
    """netavark 1.x opens the namespace before it calls a driver, and calls none where that fails."""
    host = podman.host
    podman.run("web,shut", "lost", *IDLE, options=("-p", "8001:8080"))
    host.path("/etc/cni/net.d/10-web.conflist").unlink()
    (shown,) = json.loads(podman.out("inspect", "lost"))
    host.run("umount", "-l", shown["NetworkSettings"]["SandboxKey"])
    host.run("rm", "-f", shown["NetworkSettings"]["SandboxKey"])
    podman("rm", "--force", "--time", "0", "lost")

    def freed() -> bool:
        host.out("calico-rkt", "gc")
        return host.left() == {} and "--to-destination" not in host.out("iptables", "-t", "nat", "-S")

    until(freed, "podman ends the container, in a process of its own")
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_a_network_is_its_conf(debian: Callable[..., DebianHost], binary: Path) -> None:
    """What somebody asks for that the conf does not say is refused with the way out, and podman keeps nothing."""
    podman = Podman5(debian("trixie", *PACKAGES), binary)
    podman.network(WEB)
    podman.out("network", "rm", "web")
    for options, said in (
        (("wed",), "did you mean web?"),
        (("--internal", "web"), "leave --internal out"),
        (("--subnet", "10.8.0.0/24", "web"), "the conf of network 'web' has 10.1.0.0/24, not '10.8.0.0/24'"),
        (("--subnet", "10.1.0.0/24", "--gateway", "10.1.0.9", "web"), "--gateway is not served"),
        (("--subnet", "10.1.0.0/24", "--ip-range", "10.1.0.128/25", "web"), "--ip-range is not served"),
        (("--ipv6", "web"), "has no IPv6 range"),
        (("--opt", "mtu=9000", "web"), "takes no option 'mtu'"),
        (("--ipam-driver", "host-local", "web"), "leave --ipam-driver out"),
        (("--route", "10.9.0.0/24,10.1.0.1", "web"), "--route is not served"),
        (("--interface-name", "br7", "web"), "--interface-name is not served"),
    ):
        assert said in podman.refused("network", "create", "--driver", "calico", *options), options
    assert podman.out("network", "ls", "--quiet").split() == ["podman"]
    podman.out("network", "create", "--driver", "calico", "--subnet", "10.1.0.0/24", "--label", "a=b", "web")
    assert podman.out("network", "ls", "--quiet").split() == ["podman", "web"]
    podman.out("network", "prune", "--force")
    assert podman.out("network", "ls", "--quiet").split() == ["podman"]
    assert podman.host.path("/etc/cni/net.d/10-web.conf").exists(), "the conf is the host's, not podman's"


def test_a_user_without_root_has_networks_that_are_apart(debian: Callable[..., DebianHost], binary: Path) -> None:
    """The host's confs and overrides, in namespaces of the user's own, with a place for what is published."""
    of_root = Podman5(debian("trixie", *PACKAGES), binary)
    host = of_root.host
    make_user(host)
    host.override("web", OVERRIDE)
    for network in (WEB, SHUT):
        of_root.network(network, PORTMAP)
    host.out("chmod", "755", "/etc/cni/net.d")
    lacking = DebianPodman(host, USER)
    for name in ("web", "shut"):
        lacking.out("network", "create", "--driver", "calico", name)

    def start(podman: DebianPodman, network: str, name: str, *argv: str, options: tuple[str, ...] = ()) -> None:
        whole = ("run", "--detach", "--cgroups", "disabled", "--network", network, "--name", name)
        podman.out(*whole, *options, "--rootfs", f"/srv/{USER}", *argv)

    with pytest.raises(AssertionError, match=r"CALICO_RKT_LIB_DIR names another folder"):
        start(lacking, "web", "none", *IDLE)
    lacking.out("rm", "--force", "none")

    podman = DebianPodman(host, USER, {"CALICO_RKT_LIB_DIR": f"{HOME}/.local/share/calico-rkt"})
    start(podman, "web", "server", *SERVE, options=("-p", "8001:9090"))
    start(podman, "web", "peer", *IDLE)
    start(podman, "shut", "client", *IDLE)
    server = podman.address("server")

    def fetched(name: str, port: int, wait: int) -> bool:
        return reached(podman.execute(name, *fetching(server, port, wait)))

    until(lambda: fetched("peer", 9090, 5), "the same network reaches")
    assert fetched("client", 8080, 30), "the host's override opens this port"
    assert not fetched("client", 9090, 1), "and only this one"
    assert host.left() == {}, "all of it is in the user's own namespaces"
    assert podman.inside("calico-rkt", "status").count("in step") == 2
    assert host.fetch(HOST_V4, 8001, inside="outside", wait=30), "a published port is open whatever policy says: docs"
    podman.out("rm", "--force", "--time", "0", "server", "peer", "client")
    assert "crk" not in podman.inside("ip", "-o", "link")
