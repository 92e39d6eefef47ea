"""Beside other plugins: before us in a container, behind us in a list, and on the host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import IDLE, OUTSIDE_V4, OUTSIDE_V6, PLUGINS, SERVE, Lab, conf, pool, until
from tests.clients.support.podman import Podman

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
DUAL = conf("web", pool("10.1.0.0/24", "fd00:1::/64"))
SIX = conf("web", pool("fd00:1::/64"))
OF = pytest.mark.parametrize("of", [WEB, SIX, DUAL], ids=["IPv4", "IPv6", "both"])
FOREIGN = {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd00:77::/64"}]]}
LEADING_OUT = {**FOREIGN, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
PTP = {"cniVersion": "1.0.0", "name": "foreign", "type": "ptp", "ipam": LEADING_OUT}
BRIDGE = {"cniVersion": "1.0.0", "name": "foreign", "type": "bridge", "isDefaultGateway": True, "ipam": FOREIGN}


def answers(lab: Lab, address: str, inside: str = "", source: str = "") -> bool:
    ping = ("ping", "-c", "1", "-W", "2", *(("-I", source) if source else ()), address)
    return any(lab.run(*ping, inside=inside).returncode == 0 for _ in range(3))


def chained(lab: Lab, plugin: dict[str, Any], of: dict[str, Any], result: dict[str, Any], netns: str) -> dict[str, Any]:
    """What a plugin behind us makes of our result."""
    given = {"cniVersion": of["cniVersion"], "name": of["name"], **plugin, "prevResult": result}
    return Caller(lab, f"{PLUGINS}/{plugin['type']}").add(given, netns=netns)


@OF
@pytest.mark.parametrize("first", [PTP, BRIDGE], ids=["ptp", "bridge"])
def test_behind_another_plugin_we_attach_beside_it_and_leave_nothing(
    lab: Lab, cni: Caller, first: dict[str, Any], of: dict[str, Any]
) -> None:
    netns = lab.netns("c1")
    foreign = Caller(lab, f"{PLUGINS}/{first['type']}")
    foreign.add(first, netns=netns, ifname="eth0")
    before = [lab.out("ip", family, *what, inside="c1") for family in ("-4", "-6") for what in (("rule",), ("route",))]
    result = cni.add(of, netns=netns, ifname="eth1")
    for address in addresses(result):
        outside = OUTSIDE_V6 if ":" in address else OUTSIDE_V4
        assert answers(lab, address)
        assert answers(lab, outside, "c1", address), "answers leave by our interface"
    for family in ("-4", "-6"):
        assert " eth0" in lab.out("ip", family, "route", "show", "default", inside="c1").splitlines()[0], (
            "it keeps that"
        )
    assert lab.run("ip", "-4", "route", "get", "192.0.2.9", inside="c1").stdout.split()[4:5] == [b"eth0"]
    cni("CHECK", {**of, "prevResult": result}, netns=netns, ifname="eth1").succeeded()
    assert cni.add(of, netns=netns, ifname="eth1") == result
    cni.delete(of, netns=netns, ifname="eth1")
    after = [lab.out("ip", family, *what, inside="c1") for family in ("-4", "-6") for what in (("rule",), ("route",))]
    assert after == before
    assert lab.left().keys() <= {"host-local"}
    foreign.delete(first, netns=netns, ifname="eth0")


def test_a_foreign_default_route_of_a_high_metric_stays_the_first(bare_lab: Lab) -> None:
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    for command in ("link add d0 type bridge", "addr add 10.66.0.2/24 dev d0", "link set d0 up"):
        bare_lab.out("ip", *command.split(), inside="c1")
    bare_lab.out("ip", "route", "add", "default", "via", "10.66.0.1", "metric", "70000", inside="c1")
    (address,) = addresses(cni.add(WEB, netns=netns))
    assert " dev d0" in bare_lab.out("ip", "route", "get", "203.0.113.9", inside="c1")
    assert answers(bare_lab, address)


def test_the_rules_of_a_second_network_of_ours_go_with_it_and_the_first_stays(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    back = conf("back", pool("10.2.0.0/24", "fd00:2::/64"))
    first = addresses(cni.add(DUAL, netns=netns))
    before = [lab.out("ip", family, "rule", inside="c1") for family in ("-4", "-6")]
    second = cni.add(back, netns=netns, ifname="eth1")
    assert [lab.out("ip", family, "rule", inside="c1") for family in ("-4", "-6")] != before
    two = {**back, "prevResult": second}
    cni("CHECK", two, netns=netns, ifname="eth1").succeeded()
    cni.delete(back, netns=netns, ifname="eth1")
    assert [lab.out("ip", family, "rule", inside="c1") for family in ("-4", "-6")] == before
    assert all(answers(lab, a) for a in first)
    cni.delete(DUAL, netns=netns)
    assert lab.left() == {}


def test_an_add_that_fails_at_its_end_leaves_no_rule_in_the_container(bare_lab: Lab) -> None:
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    cni.add(WEB, netns=netns)
    before = bare_lab.out("ip", "rule", inside="c1")
    bare_lab.write("/etc/calico-rkt/profiles/back.yaml", "network: back\ningress: nonsense\n")
    cni("ADD", conf("back", pool("10.2.0.0/24")), netns=netns, ifname="eth1").refused()
    assert bare_lab.out("ip", "rule", inside="c1") == before


@OF
def test_a_mac_that_tuning_sets_behind_us_is_learnt_at_once(lab: Lab, cni: Caller, of: dict[str, Any]) -> None:
    netns = lab.netns("c1")
    result = cni.add(of, netns=netns)
    tuned = chained(lab, {"type": "tuning", "mac": "02:00:00:00:00:77"}, of, result, netns)
    assert tuned["interfaces"][1]["mac"] == "02:00:00:00:00:77"
    for address in addresses(result):
        ping = ("ping", "-c", "1", "-W", "3", address)
        assert lab.run(*ping).returncode == 0, "the host asks first"
        outside = OUTSIDE_V6 if ":" in address else OUTSIDE_V4
        assert lab.run("ping", "-c", "1", "-W", "3", outside, inside="c1").returncode == 0
    cni("CHECK", {**of, "prevResult": tuned}, netns=netns).succeeded()
    error = cni("CHECK", {**of, "prevResult": result}, netns=netns).refused(109)
    assert "MAC" in error["msg"]
    cni.delete({**of, "prevResult": tuned}, netns=netns)
    assert lab.left() == {}


@pytest.mark.parametrize(
    "plugin",
    [
        {"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 80000},
        {
            "type": "portmap",
            "runtimeConfig": {"portMappings": [{"hostPort": 81, "containerPort": 80, "protocol": "tcp"}]},
        },
        {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.log_martians": "1"}, "mtu": 1400, "promisc": True},
        {"type": "firewall"},
    ],
    ids=lambda p: p["type"],
)
def test_check_holds_with_a_plugin_behind_us(bare_lab: Lab, plugin: dict[str, Any]) -> None:
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    of = {**WEB, "cniVersion": "0.4.0"}
    result = cni.add(of, netns=netns)
    later = chained(bare_lab, plugin, of, result, netns)
    cni("CHECK", {**of, "prevResult": later}, netns=netns).succeeded()
    assert answers(bare_lab, "10.1.0.1")
    cni.delete({**of, "prevResult": later}, netns=netns)


def test_podman_attaches_a_bridge_and_us_to_one_container_and_sets_its_mac(lab: Lab) -> None:
    podman = Podman(lab)
    podman.network(WEB, {"type": "portmap", "capabilities": {"portMappings": True}}, TUNING)
    podman.network({**BRIDGE, "name": "br", "bridge": "cni-lab"})
    podman.run("web", "fixed", *SERVE, options=("--mac-address", "02:00:00:00:00:99"))
    until(lambda: lab.fetch("10.1.0.1", 8080), "its host reaches it")
    assert b"02:00:00:00:00:99" in podman.execute("fixed", "ip", "link", "show", "eth0").stdout
    podman.run("br", "both", *IDLE)
    assert podman("network", "connect", "web", "both").returncode == 0  # of br,web it takes either first
    assert answers(lab, "10.1.0.2")
    assert podman.execute("both", "ping", "-c", "1", "-W", "3", "10.1.0.1").returncode == 0
    for name in ("both", "fixed"):
        podman.stop(name)
    assert lab.left().keys() <= {"host-local"}


TUNING = {"type": "tuning", "capabilities": {"mac": True}}


@OF
def test_an_address_of_the_host_inside_the_pool_is_given_to_nobody_with_a_word(
    lab: Lab, cni: Caller, of: dict[str, Any]
) -> None:
    for address in ("10.1.0.1/32", "fd00:1::1/128", "10.1.0.3/32"):
        lab.out("ip", "address", "add", address, "dev", "lo")
    lab.out("ip", "route", "add", "10.1.0.4/32", "dev", "out0")
    for name, last in (("c1", "2"), ("c2", "5")):
        reply = cni("ADD", of, name, lab.netns(name)).succeeded()
        found = addresses(reply.json)
        assert found[0] == (f"10.1.0.{last}" if "." in found[0] else found[0])
        assert not {"10.1.0.1", "fd00:1::1"} & set(found)
        assert all(answers(lab, a) for a in found)
        if name == "c1":
            assert b"another one is chosen" in reply.stderr
    asked = "10.1.0.1" if of is not SIX else "fd00:1::1"
    error = cni("ADD", of, "c3", lab.netns("c3"), CNI_ARGS=f"IP={asked}").refused()
    assert f"the host has the address {asked} already" in error["msg"]
    for name in ("c1", "c2"):
        cni.delete(of, name, f"/var/run/netns/{name}")
    assert [line for line in str(lab.left()).split("'") if "crk" in line] == []


def test_a_pool_of_nothing_but_the_host_s_addresses_is_exhausted(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    for last in (1, 2):
        bare_lab.out("ip", "address", "add", f"10.1.0.{last}/32", "dev", "lo")
    small = conf("small", {"type": "host-local", "subnet": "10.1.0.0/30"})
    cni("ADD", small, netns=bare_lab.netns("c1")).refused(101)
    assert bare_lab.left() == {}


@pytest.mark.parametrize("later", [False, True], ids=["before the first ADD", "after it"])
@pytest.mark.parametrize("net", ["10.1.0.129/25", "10.1.0.3/24", "10.0.0.1/8", "fd00:1::1/80"])
def test_an_on_link_route_of_the_host_that_overlaps_a_range_is_an_error(bare_lab: Lab, later: bool, net: str) -> None:
    cni = Caller(bare_lab)
    asked = {"CNI_ARGS": "IP=10.1.0.130"}
    if later and net == "10.0.0.1/8":
        pytest.skip("our own routes are more specific: the range stays ours")
    if later:
        cni.add(DUAL, "c0", bare_lab.netns("c0"))
    bare_lab.out("ip", "link", "add", "br9", "up", "type", "bridge")
    bare_lab.out("ip", "address", "add", net, "dev", "br9")
    error = cni("ADD", DUAL, netns=bare_lab.netns("c1"), **asked).refused(7)
    assert "br9" in error["msg"]
    assert "'c1'" not in str(bare_lab.left()).replace("\\", "")


def test_a_read_only_proc_sys_is_no_hindrance_where_the_host_forwards_already(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    bare_lab.out("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    bare_lab.out("mount", "-o", "bind,ro", "/proc/sys", "/proc/sys")
    for name, of in (("c1", WEB), ("c2", {**SIX, "name": "six"}), ("c3", {**DUAL, "name": "dual"})):
        found = addresses(cni.add(of, name, bare_lab.netns(name)))
        assert all(answers(bare_lab, a) for a in found)
        cni.delete(of, name, f"/var/run/netns/{name}")
    assert bare_lab.left() == {}


def test_a_read_only_proc_sys_of_a_host_that_does_not_forward_is_said(bare_lab: Lab) -> None:
    bare_lab.out("mount", "-o", "bind,ro", "/proc/sys", "/proc/sys")
    error = Caller(bare_lab)("ADD", WEB, netns=bare_lab.netns("c1")).refused(104)
    assert "sysctl -w net.ipv4.ip_forward=1" in error["details"]
    assert bare_lab.left() == {}


def test_names_of_interfaces_that_the_kernel_would_read_otherwise_are_refused(bare_lab: Lab) -> None:
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    for name, codes in (("eth%d", (4,)), ("lo", (104,)), ("all", (4,)), ("default", (4,))):
        cni("ADD", DUAL, netns=netns, ifname=name).refused(*codes)
    assert bare_lab.links(inside="c1") == {"lo"}
    assert bare_lab.left() == {}
