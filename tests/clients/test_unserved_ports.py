"""Published ports that nobody will reach are told at ADD, by the policy in force, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.agent import LOG
from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.lab import HOST_V4, SERVE, Lab, conf, fetching, pool, reached, until
from tests.clients.support.podman import Podman

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

CAPABLE = {"capabilities": {"portMappings": True}}
PORTMAP = {"type": "portmap", **CAPABLE}
WEB = conf("web", pool("10.1.0.0/24"), **CAPABLE)
OPEN = """network: web
ingress:
  - {action: Allow, protocol: TCP, source: {notSelector: all()}, destination: {ports: [8080]}}
  - default
"""
DENIED = "published but denied from outside by the policy of network 'web'"


def mapped(*mappings: tuple[int, int, str, str]) -> dict[str, Any]:
    """WEB as libcni hands it over with these ports: host, container, protocol, the host's address."""
    listed = [{"hostPort": h, "containerPort": c, "protocol": p, "hostIP": a} for h, c, p, a in mappings]
    return {**WEB, "runtimeConfig": {"portMappings": listed}}


def listed(lab: Lab, *behind: object, suffix: str = "conflist") -> None:
    first = {k: v for k, v in WEB.items() if k not in ("cniVersion", "name")}
    made = {"cniVersion": "1.0.0", "name": "web", "plugins": [first, *behind]}
    lab.write(f"/etc/cni/net.d/web.{suffix}", json.dumps(made if suffix == "conflist" else WEB))


def said(lab: Lab, cni: Caller, asked: dict[str, Any]) -> list[str]:
    """What an ADD of a new container says of its ports on stderr, which the log has, too."""
    name = f"c{len(lab.out('ip', 'netns').split())}"
    reply = cni("ADD", asked, name, lab.netns(name)).succeeded()
    lines = [line for line in reply.stderr.decode().splitlines() if line.startswith("calico: WARNING: ADD ")]
    log = lab.path(LOG).read_text()
    for line in lines:
        assert line.removeprefix("calico: WARNING: ") in log
    cni.delete(asked, name, f"/var/run/netns/{name}")
    return lines


def test_a_closed_port_is_told_with_the_rule_that_opens_it(lab: Lab, cni: Caller) -> None:
    listed(lab, PORTMAP)
    asked = mapped((80, 8080, "tcp", ""), (53, 53, "udp", "192.0.2.1"), (81, 9090, "tcp", "127.0.0.1"))
    tcp, udp = said(lab, cni, asked)
    assert f"port 80->8080/tcp is {DENIED}" in tcp
    assert f"port 192.0.2.1:53/udp is {DENIED}" in udp
    rule = tcp.partition("above `- default`: ")[2].partition("; then")[0]
    lab.override("web", f"network: web\ningress:\n  {rule}\n  - default\n")
    assert tool(lab, "apply", "--yes").returncode == 0
    (left,) = said(lab, cni, asked)
    assert left.partition(": port")[2] == udp.partition(": port")[2]
    assert said(lab, cni, mapped((80, 8080, "tcp", ""), (81, 9090, "tcp", "127.0.0.1"))) == []


def test_what_is_published_counts_and_not_what_the_files_say_by_now(lab: Lab, cni: Caller) -> None:
    listed(lab, PORTMAP)
    assert len(said(lab, cni, mapped((80, 8080, "tcp", "")))) == 1
    lab.override("web", OPEN)
    assert len(said(lab, cni, mapped((80, 8080, "tcp", "")))) == 1
    assert tool(lab, "apply", "--yes").returncode == 0
    assert said(lab, cni, mapped((80, 8080, "tcp", ""))) == []


@pytest.mark.parametrize(
    ("suffix", "behind", "told"),
    [
        ("conf", (), True),
        ("conflist", (), True),
        ("conflist", ({"type": "portmap"},), True),  # without the capability it is handed nothing
        ("conflist", ({"type": "bandwidth", "capabilities": {"bandwidth": True}},), True),
        ("conflist", (PORTMAP,), False),
    ],
)
def test_a_port_that_no_plugin_maps_is_told(
    lab: Lab, cni: Caller, suffix: str, behind: tuple[object, ...], told: bool
) -> None:
    lab.override("web", OPEN)
    listed(lab, *behind, suffix=suffix)
    lines = said(lab, cni, mapped((80, 8080, "tcp", "")))
    assert len(lines) == told
    for line in lines:
        assert f"port 80->8080/tcp is asked for, but no plugin of /etc/cni/net.d/web.{suffix} maps ports" in line


def test_a_conf_that_is_not_found_may_be_anywhere(lab: Lab, cni: Caller) -> None:
    lab.override("web", OPEN)
    assert said(lab, cni, mapped((80, 8080, "tcp", ""))) == []


def test_rootless_podman_s_ports_are_told_to_pass_as_the_host_s(lab: Lab, cni: Caller) -> None:
    if lab.path("/run/calico-rkt/agent.sock").exists():
        pytest.skip("an agent is root's")
    listed(lab, PORTMAP)
    asked = mapped((80, 8080, "tcp", ""))
    reply = cni("ADD", asked, "a", lab.netns("a"), _CONTAINERS_ROOTLESS_UID="1000").succeeded()
    assert b"port 80->8080/tcp is published without root" in reply.stderr
    assert b"denied" not in reply.stderr


@pytest.mark.parametrize("ports", [[], None, "x", [7], [{"hostPort": "80"}], {"hostPort": 80}])
def test_what_is_no_list_of_ports_is_the_mapping_plugin_s_to_refuse(lab: Lab, cni: Caller, ports: object) -> None:
    listed(lab)
    assert said(lab, cni, {**WEB, "runtimeConfig": {"portMappings": ports}}) == []


def test_a_profile_that_was_edited_fails_no_add_for_what_would_be_told(lab: Lab, cni: Caller) -> None:
    listed(lab, PORTMAP)
    asked = mapped((80, 8080, "tcp", ""))
    cni.add(asked, "a", lab.netns("a"))
    path = lab.path("/var/lib/calico-rkt/profiles/web.yaml")
    path.write_text(path.read_text().replace("Allow", "Deny"))
    reply = cni("ADD", asked, "b", lab.netns("b")).succeeded()
    assert DENIED.encode() not in reply.stderr
    assert "published ports could not be judged" in lab.path(LOG).read_text()


def test_podman_hands_ports_over_and_the_wire_says_what_the_log_says(lab: Lab) -> None:
    podman = Podman(lab)
    podman.network(WEB, PORTMAP)
    podman.run("web", "a", *SERVE, options=("-p", "8081:8080"))
    until(lambda: lab.fetch(HOST_V4, 8081), "the host reaches the port")
    assert not lab.fetch(HOST_V4, 8081, inside="outside", wait=1)
    assert lab.path(LOG).read_text().count(f"port 8081->8080/tcp is {DENIED}") == 1
    podman.stop("a")

    lab.override("web", OPEN)
    assert tool(lab, "apply", "--yes", "--confs", podman.networks).returncode == 0
    podman.run("web", "b", *SERVE, options=("-p", "8081:8080"))
    until(lambda: lab.fetch(HOST_V4, 8081, inside="outside"), "the outside reaches the port")
    assert lab.path(LOG).read_text().count(DENIED) == 1
    podman.stop("b")
    assert lab.left() == {}


def test_podman_without_portmap_is_told_of_the_port_that_leads_nowhere(lab: Lab) -> None:
    podman = Podman(lab)
    podman.network(WEB)
    listed(lab)
    podman.run("web", "a", *SERVE, options=("-p", "8081:8080"))
    assert (
        "port 8081->8080/tcp is asked for, but no plugin of /etc/cni/net.d/web.conflist maps ports"
        in lab.path(LOG).read_text()
    )
    # podman holds the port open itself, so whoever comes is let in by the kernel and waits for ever.
    asked = lab.run("timeout", "2", "/bin/busybox", *fetching(HOST_V4, 8081, 1), inside="outside")
    assert (asked.returncode, reached(asked)) == (124, False)
    podman.stop("a")
