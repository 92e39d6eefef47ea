"""What netavark says to its driver, said by hand: the answers, and ten mistakes, each with one object and its cure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.lab import PLUGINS, Lab, conf, listed, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

DRIVER = "/run/netavark/calico"
"""A link of the driver's name, in a folder that a lab may write to."""
CAPABLE = {"capabilities": {"portMappings": True}}
NETWORK = {
    "dns_enabled": True,
    "driver": "calico",
    "id": "a" * 64,
    "internal": False,
    "ipv6_enabled": False,
    "name": "web",
    "options": None,
    "subnets": None,
    "labels": {"mine": "yes"},
}


@pytest.fixture
def host(lab: Lab) -> Lab:
    """A host with the conf of web, of CNI 0.2.0 and so without interfaces in its result, and the driver's link."""
    lab.write("/etc/cni/net.d/10-web.conf", json.dumps(conf("web", pool("10.1.0.0/24"), cni="0.2.0")))
    lab.out("mkdir", "/run/netavark")
    lab.out("ln", "-s", f"{PLUGINS}/calico", DRIVER)
    return lab


def call(host: Lab, *args: str, told: object = b"") -> tuple[int, Any, str]:
    """One call by the link: its exit status, the object on stdout, and stderr."""
    stdin = told if isinstance(told, bytes) else json.dumps(told).encode()
    done = host.run(DRIVER, *args, stdin=stdin)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()


def container(**options: Any) -> dict[str, Any]:
    """What setup and teardown are told of a container's eth0 in web."""
    wishes = {"aliases": ["c1"], "interface_name": "eth0", "static_ips": None, "static_mac": None, "options": None}
    return {
        "container_id": "c1",
        "container_name": "one",
        "port_mappings": None,
        "network": NETWORK,
        "network_options": {**wishes, **options},
    }


def test_a_network_and_a_container_come_and_go(host: Lab) -> None:
    status, answer, _ = call(host, "info")
    assert (status, answer["api_version"]) == (0, "1.0.0")
    status, made, _ = call(host, "create", told=NETWORK)
    filled = {"dns_enabled": False, "ipam_options": {"driver": "calico"}, "subnets": [{"subnet": "10.1.0.0/24"}]}
    assert (status, made) == (0, {**NETWORK, **filled})

    netns = host.netns("c1")
    asked = container(static_ips=["10.1.0.9"], static_mac="02:00:00:00:00:09")
    status, answer, _ = call(host, "setup", netns, told=asked)
    eth0 = {"mac_address": "02:00:00:00:00:09", "subnets": [{"ipnet": "10.1.0.9/32", "gateway": None}]}
    assert (status, answer) == (0, {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": eth0}})
    assert host.links("c1") == {"lo", "eth0"}
    assert call(host, "setup", netns, told=asked)[:2] == (0, answer), "asked again, answered again"
    assert call(host, "teardown", netns, told=asked)[:2] == (0, None)
    assert host.left() == {}
    assert call(host, "teardown", netns, told=asked)[:2] == (0, None), "what is not there is gone"


@pytest.fixture
def told_of_ports(host: Lab) -> Lab:
    """The same host with another network, back; in both ours is told of published ports, and portmap maps them."""
    for name, net in (("web", "10.1.0.0/24"), ("back", "10.2.0.0/24")):
        text = listed(conf(name, pool(net), **CAPABLE), {"type": "portmap", **CAPABLE})
        host.write(f"/etc/cni/net.d/10-{name}.conflist", text)
    host.path("/etc/cni/net.d/10-web.conf").unlink()
    return host


def test_a_port_that_is_taken_over_leaves_the_container_in_the_network_that_had_it(told_of_ports: Lab) -> None:
    host, netns = told_of_ports, told_of_ports.netns("c1")
    mapping = {"host_port": 8080, "container_port": 80, "protocol": "tcp", "host_ip": "", "range": 1}
    second = {**container(interface_name="eth1"), "port_mappings": [mapping]}
    second["network"] = {**NETWORK, "name": "back"}
    first = {**container(), "port_mappings": [mapping]}
    for asked in (second, first):  # netavark 1.x goes through them in any order
        assert call(host, "setup", netns, told=asked)[0] == 0
    assert host.links("c1") == {"lo", "eth0", "eth1"}
    assert "10.2.0.1" in host.out("ip", "-4", "-o", "address", "show", "dev", "eth1", inside="c1")
    for asked in (first, second):
        assert call(host, "teardown", netns, told=asked)[0] == 0
    assert host.left() == {}


def test_ports_that_ours_alone_is_told_of_are_nobody_s(told_of_ports: Lab) -> None:
    host = told_of_ports
    path = host.path("/etc/cni/net.d/10-web.conflist")
    loaded = json.loads(path.read_text())
    path.write_text(json.dumps({**loaded, "plugins": loaded["plugins"][:1]}))
    mapping = {"host_port": 8080, "container_port": 80, "protocol": "tcp", "host_ip": "", "range": 1}
    asked = {**container(), "port_mappings": [mapping]}
    assert call(host, "setup", host.netns("c1"), told=asked)[0] == 0, "as where no plugin declares the capability"
    assert call(host, "teardown", "/run/netns/c1", told=asked)[0] == 0
    assert host.left() == {}


def test_teardown_needs_neither_the_namespace_nor_the_conf(host: Lab) -> None:
    netns = host.netns("c1")
    assert call(host, "setup", netns, told=container())[0] == 0
    host.out("ip", "netns", "del", "c1")
    host.path("/etc/cni/net.d/10-web.conf").unlink()
    assert call(host, "teardown", netns, told=container())[:2] == (0, None)
    assert host.left() == {}


@pytest.mark.parametrize(
    ("args", "told", "said"),
    [
        (("setup", "@"), b"", "stdin is no JSON: it is empty"),
        (("create",), b"{'name': 1}", "stdin is no JSON: Expecting property name"),
        (("create",), b"[" * 100_000, "stdin is no JSON"),
        (("create",), b"[]", "stdin is JSON, but no object"),
        (("create",), b" " * (2 << 20), "there are more than 1048576 bytes on stdin"),
        (("create",), {"name": 7}, "name of the network is no string"),
        (("create",), {**NETWORK, "name": "wep"}, "did you mean web?"),
        (("create",), {**NETWORK, "internal": True}, "leave --internal out"),
        (("create",), {**NETWORK, "subnets": 5}, "subnets is no list"),
        (("setup",), container(), "setup takes NETNS, not nothing"),
        (("setup", "@", "more"), container(), "setup takes NETNS, not @ more"),
        (("netavark", "update", "@"), container(), "netavark's drivers know no verb 'update'"),
        (("netavark",), b"", "no verb was given"),
        (("netavark", ""), b"", "no verb was given"),
        (("setup", "@"), {**container(), "network_options": None}, "network_options is missing"),
        (("setup", "@"), {**container(), "container_id": "../x"}, "'../x' is not allowed"),
        (("setup", "@"), container(interface_name="a name of twenty"), "CNI_IFNAME"),
        (("setup", "@"), container(static_ips=["10.1.0.300"]), "'10.1.0.300' is no IP address"),
        (("setup", "@"), container(static_ips=["10.9.0.1"]), "10.9.0.1"),
        (("setup", "@"), container(static_mac="hello"), "'hello' is no MAC address"),
        (("setup", "@"), container(options={"vlan": "7"}), "takes no option 'vlan'"),
        (("setup", "@"), {**container(), "port_mappings": [{"host_port": 99999}]}, "host_port of a port mapping"),
        (("setup", "/nowhere"), container(), "no network namespace at /nowhere"),
        (("setup", "/etc/passwd"), container(), "/etc/passwd"),
    ],
)
def test_a_mistake_is_one_object_with_the_cure(bare_lab: Lab, args: tuple[str, ...], told: object, said: str) -> None:
    bare_lab.write("/etc/cni/net.d/10-web.conf", json.dumps(conf("web", pool("10.1.0.0/24"))))
    netns = bare_lab.netns("c1")
    stdin = told if isinstance(told, bytes) else json.dumps(told).encode()
    done = bare_lab.run(f"{PLUGINS}/calico", *(a.replace("@", netns) for a in args), stdin=stdin)
    assert done.returncode == 1, done
    assert set(json.loads(done.stdout)) == {"error"}
    assert said.replace("@", netns) in json.loads(done.stdout)["error"]
    assert b"Traceback" not in done.stderr
    assert bare_lab.left() == {}


WAITS_FOR_STDIN = """
import signal, subprocess, sys, time
for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE) as driver:
        time.sleep(0.5)
        driver.send_signal(asked)
        try:
            print(-driver.wait(20) == asked)
        finally:
            driver.kill()
"""
"""The driver, whose caller never ends what it says, is asked to end."""


def test_who_waits_for_what_it_is_told_ends_when_it_is_asked_to(host: Lab) -> None:
    done = host.run("/usr/bin/python3", "-c", WAITS_FOR_STDIN, DRIVER, "create")
    assert (done.stdout.split(), done.stderr) == ([b"True"] * 3, b"")
