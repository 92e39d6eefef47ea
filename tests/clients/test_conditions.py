"""Hosts that differ from the usual one: no IPv6, nothing but IPv6, a /proc/sys that nobody may write.

`make matrix` runs these on each Debian that is supported; docs/support.md says what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import HOST_V4, PLUGINS, Lab, conf, fetching, pool, reached, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

V4 = {"web": "10.1.0.0/24", "back": "10.2.0.0/24"}
V6 = {"web": "fd00:1::/64", "back": "fd00:2::/64"}
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    source: {network: back}
    destination: {ports: [8080]}
  - default
"""
_OFF = "for i in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$i; done"
_NO_IPV6 = f"{_OFF}; mount -t tmpfs -o ro,mode=555 tmpfs /proc/sys/net/ipv6"
_READ_ONLY = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"

Serving = Callable[[Mapping[str, Any], str], dict[str, Any]]


@pytest.fixture
def serve(lab: Lab, cni: Caller) -> Serving:
    """Attach a container of this name to a network and let it serve a page at two ports; ADD's result."""
    lab.override("web", OVERRIDE)

    def start(network: Mapping[str, Any], name: str) -> dict[str, Any]:
        result = cni.add(network, name, lab.netns(name))
        (address,) = addresses(result)
        for port in ("8080", "9090"):
            page = ("/bin/busybox", "httpd", "-f", "-p", port, "-h", "/run/lab/rootfs/www")
            lab.start("ip", "netns", "exec", name, *page)
        until(lambda: lab.fetch(address, 8080) and lab.fetch(address, 9090), "the host reaches its container")
        return result

    return start


def policy_holds(lab: Lab, cni: Caller, serve: Serving, subnets: Mapping[str, str]) -> None:
    """Two networks are apart but for the override's port, also in a table that was built anew; nothing is left."""
    web, back = (conf(name, pool(subnets[name])) for name in ("web", "back"))
    result = serve(web, "server")
    (server,), (client,) = addresses(result), addresses(serve(back, "client"))
    serve(web, "peer")

    def fetches(name: str, address: str, port: int, wait: int) -> bool:
        return reached(lab.run("/bin/busybox", *fetching(address, port, wait), inside=name))

    assert fetches("peer", server, 9090, 30), "the same network reaches"
    assert fetches("client", server, 8080, 30), "the override opens this port"
    assert not fetches("client", server, 9090, 1), "and only this one"
    assert not fetches("server", client, 8080, 1), "and only in this direction"
    assert not lab.fetch(server, 8080, inside="outside", wait=1), "the outside does not"
    cni("CHECK", {**web, "prevResult": result}, "server", "/var/run/netns/server").succeeded()
    lab.out("nft", "delete", "table", "inet", "calico_rkt")
    lab.out(f"{PLUGINS}/calico", "restore")
    assert fetches("client", server, 8080, 30)
    assert not fetches("client", server, 9090, 1)
    for network, name in ((web, "server"), (back, "client"), (web, "peer")):
        cni.delete(network, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


def test_a_host_without_ipv6(lab: Lab, cni: Caller, serve: Serving) -> None:
    lab.out("sh", "-c", _NO_IPV6)
    policy_holds(lab, cni, serve, V4)


@pytest.mark.parametrize("off", [_OFF, _NO_IPV6], ids=["switched off", "not there"])
def test_who_asks_for_ipv6_where_there_is_none_hears_it(lab: Lab, cni: Caller, off: str) -> None:
    lab.out("sh", "-c", off)
    network = conf("web", pool(V4["web"], V6["web"]))
    reply = cni("ADD", network, "c1", lab.netns("c1"))
    if off == _NO_IPV6:
        assert "this host has no IPv6" in reply.refused()["msg"]
    else:
        assert len(addresses(reply.succeeded().json)) == 2, "switched off for others: our interfaces have it"
        cni.delete(network, "c1", "/var/run/netns/c1")
    assert lab.left() == {}


def test_a_host_with_nothing_but_ipv6(lab: Lab, cni: Caller, serve: Serving) -> None:
    lab.out("ip", "address", "delete", f"{HOST_V4}/24", "dev", "out0")
    assert "inet " not in lab.out("ip", "address", "show", "dev", "out0")
    policy_holds(lab, cni, serve, V6)


@pytest.mark.parametrize("subnets", [V4, V6], ids=["IPv4", "IPv6"])
def test_a_host_that_forwards_already_needs_no_proc_sys_to_write(
    lab: Lab, cni: Caller, serve: Serving, subnets: Mapping[str, str]
) -> None:
    lab.out("sysctl", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    lab.out("sh", "-c", _READ_ONLY)
    policy_holds(lab, cni, serve, subnets)


def test_a_host_that_does_not_forward_says_which_sysctl_it_can_not_write(lab: Lab, cni: Caller) -> None:
    lab.out("sh", "-c", _READ_ONLY)
    error = cni("ADD", conf("web", pool(V4["web"])), "c1", lab.netns("c1")).refused()
    assert error["msg"].startswith("/proc/sys/net/ipv4/ip_forward can't be set to 1"), error
    assert error["details"] == "set it by hand: sysctl -w net.ipv4.ip_forward=1"
    assert lab.left() == {}


def test_a_sysctl_of_a_host_end_that_can_not_be_written_is_named_where_it_lasts(lab: Lab, cni: Caller) -> None:
    lab.out("sysctl", "-w", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.disable_ipv6=1")
    lab.out("sh", "-c", _READ_ONLY)
    error = cni("ADD", conf("web", pool(V6["web"])), "c1", lab.netns("c1")).refused()
    assert error["details"] == "set it by hand: sysctl -w net.ipv6.conf.default.disable_ipv6=0"
    assert lab.left() == {}
