"""Addresses that no endpoint has: packets to them go nowhere, and what went by before is nobody's flow."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests import state_log
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import STATE, Lab, conf, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

BOTH = pytest.mark.parametrize("family", [4, 6])
SUBNETS = {4: "10.63.0.0/24", 6: "fd00:63::/64"}
BYSTANDER = {4: "10.99.0.0/24", 6: "fd00:99::/64"}
ONLY = {4: "10.63.0.2", 6: "fd00:63::2"}
OUTSIDE = {4: "192.0.2.9", 6: "2001:db8:ffff::9"}
HOST = {4: "192.0.2.1", 6: "2001:db8:ffff::1"}
CLOSED = "network: shut\negress: []\ningress: []\n"


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    return bare_lab


TALK = """
import socket, sys, time
mine, port, peer, seconds, there = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
s = socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((mine, port))
s.settimeout(0.05)
end, heard = time.monotonic() + seconds, 0
while time.monotonic() < end:
    try:
        s.sendto(b"x", (peer, there))
    except OSError:
        pass
    try:
        s.recv(100)
        heard += 1
    except OSError:
        pass
print(heard)
"""
"""Send from a port to another's, all the time; how often something came back."""


def one_address(network: str, family: int, **ipam: Any) -> dict[str, Any]:
    only = {"subnet": SUBNETS[family], "rangeStart": ONLY[family], "rangeEnd": ONLY[family]}
    return conf(network, {"type": "host-local", "ranges": [[only]], **ipam})


def talk(lab: Lab, inside: str, mine: str, port: int, peer: str, there: int, seconds: float = 0.4) -> int:
    done = lab.run("/usr/bin/python3", "-c", TALK, mine, str(port), peer, str(seconds), str(there), inside=inside)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


def both(lab: Lab, name: str, family: int, seconds: float = 1.0) -> tuple[int, int]:
    """The container sends from 9 to the outside's 7 and the outside from 7 to its 9; who heard how often."""
    argv = ("/usr/bin/python3", "-c", TALK, "", "7", ONLY[family], str(seconds), "9")
    far = lab.command(*argv, inside="outside")
    with subprocess.Popen(far, stdout=subprocess.PIPE) as other:
        near = talk(lab, name, "", 9, OUTSIDE[family], 7, seconds)
        out, _ = other.communicate()
    return near, int(out)


def guards(lab: Lab, family: int) -> list[str]:
    """The unreachable routes, without the bystander's."""
    lines = lab.out("ip", f"-{family}", "route", "show", "type", "unreachable").splitlines()
    return [line for line in lines if BYSTANDER[family] not in line]


def away(lab: Lab, cni: Caller, family: int) -> None:
    """A host that forwards and tracks flows, with a router behind the uplink that gives packets to nobody."""
    cni.add(conf("bystander", {"type": "host-local", "subnet": BYSTANDER[family]}), "bystander", lab.netns("bystander"))
    lab.out("ip", f"-{family}", "route", "replace", "default", "via", OUTSIDE[family])


@BOTH
def test_packets_to_an_address_that_nobody_ever_had_or_has_no_more_go_nowhere(
    lab: Lab, cni: Caller, family: int
) -> None:
    lab.override("shut", CLOSED)
    away(lab, cni, family)
    pool = conf("shut", {"type": "host-local", "subnet": SUBNETS[family]})
    first = addresses(cni.add(pool, "c1", lab.netns("c1")))[0]
    second = addresses(cni.add(pool, "c2", lab.netns("c2")))[0]
    cni.delete(pool, "c1", "/var/run/netns/c1")
    nobody = {4: "10.63.0.200", 6: "fd00:63::200"}[family]
    for address in (first, nobody):
        route = lab.run("ip", f"-{family}", "route", "get", address)
        assert route.returncode != 0
        assert b"No route to host" in route.stderr
        for inside in ("outside", "c2", ""):
            talk(lab, inside, "", 5000, address, 9, 0.2)
        assert lab.flows(address) == []
    assert lab.run("ip", f"-{family}", "route", "get", second).returncode == 0


@BOTH
@pytest.mark.parametrize("served", ["alone", "by an agent"])
def test_a_flow_from_before_an_address_had_its_holder_opens_nothing(
    lab: Lab, cni: Caller, family: int, served: str
) -> None:
    if served == "by an agent":
        Agent(lab).start()
    lab.override("shut", CLOSED)
    away(lab, cni, family)
    talk(lab, "outside", "", 7, ONLY[family], 9)
    talk(lab, "", HOST[family], 7, ONLY[family], 9)
    assert lab.flows(ONLY[family]), "nothing guards the range of a network that nobody was ever in"
    network = one_address("shut", family)
    for _ in range(2):
        assert addresses(cni.add(network, "c1", lab.netns("c1"))) == [ONLY[family]]
        assert both(lab, "c1", family) == (0, 0)
        cni.delete(network, "c1", "/var/run/netns/c1")
        lab.out("ip", "netns", "del", "c1")
        talk(lab, "outside", "", 7, ONLY[family], 9)


@BOTH
@pytest.mark.parametrize("how", ["flushed", "restored", "off", "another's", "state lost"])
def test_the_same_where_no_guard_was_in_force(lab: Lab, cni: Caller, family: int, how: str) -> None:
    lab.override("shut", CLOSED)
    away(lab, cni, family)
    pair = {"subnet": SUBNETS[family], "rangeStart": ONLY[family], "rangeEnd": f"{ONLY[family][:-1]}3"}
    network = conf("shut", {"type": "host-local", "ranges": [[pair]], "guard": how != "off"})
    cni.add(network, "c1", lab.netns("c1"))
    cni.delete(network, "c1", "/var/run/netns/c1")
    there = guards(lab, family)
    assert bool(there) is (how != "off")
    if how in ("flushed", "restored", "state lost"):
        for line in there:
            lab.out("ip", f"-{family}", "route", "del", *line.split())
    if how == "another's":
        equal = f"{ONLY[family]}/{ {4: 31, 6: 127}[family] }"
        lab.out("ip", f"-{family}", "route", "add", equal, "via", OUTSIDE[family])
    if how == "state lost":
        lab.path(STATE).unlink()
    talk(lab, "outside", "", 7, ONLY[family], 9)
    assert lab.flows(ONLY[family])
    if how == "restored":
        lab.out("/opt/cni/bin/calico", "restore")
        assert lab.run("ip", f"-{family}", "route", "get", ONLY[family]).returncode != 0
    assert addresses(cni.add(network, "c2", lab.netns("c2"), CNI_ARGS=f"IP={ONLY[family]}")) == [ONLY[family]]
    assert both(lab, "c2", family) == (0, 0)
    cni.delete(network, "c2", "/var/run/netns/c2")
    if how == "off":
        assert guards(lab, family) == []


@BOTH
def test_somebody_elses_equal_or_more_specific_route_wins(lab: Lab, cni: Caller, family: int) -> None:
    # Two hosts share a subnet: the neighbour's containers are behind a route to it.
    shared = conf("shut", {"type": "host-local", "subnet": SUBNETS[family]})
    cni.add(shared, "c1", lab.netns("c1"))
    theirs, bits = {4: ("10.63.0.200", 32), 6: ("fd00:63::200", 128)}[family]
    lab.out("ip", "address", "add", f"{theirs}/{bits}", "dev", "lo", inside="outside")
    there = ("ping", "-n", "-c", "1", "-W", "2", theirs)
    until(lambda: lab.run(*there, inside="outside").returncode == 0, "the neighbour's container answers where it is")
    for route in (SUBNETS[family], {4: "10.63.0.128/25", 6: "fd00:63::/80"}[family], f"{theirs}/{bits}"):
        lab.out("ip", f"-{family}", "route", "add", route, "via", OUTSIDE[family])
        for inside in ("", "c1"):
            assert lab.run("ping", "-n", "-c", "1", "-W", "2", theirs, inside=inside).returncode == 0, (route, inside)
        lab.out("ip", f"-{family}", "route", "del", route, "via", OUTSIDE[family])
        assert lab.run("ping", "-n", "-c", "1", "-W", "0.3", theirs).returncode != 0


def test_excluded_addresses_gateways_and_the_hosts_own_are_not_guarded(lab: Lab, cni: Caller) -> None:
    away(lab, cni, 4)
    section = {"type": "host-local", "ranges": [[{"subnet": "10.63.0.0/24", "gateway": "10.63.0.1"}]]}
    cni.add(conf("shut", {**section, "exclude": ["10.63.0.64/26"]}), "c1", lab.netns("c1"))
    for address, reached in (("10.63.0.1", True), ("10.63.0.70", True), ("10.63.0.130", False), ("10.63.0.255", False)):
        assert (lab.run("ip", "route", "get", address).returncode == 0) is reached, address
    # Excluded later, and another network's range goes on.
    cni.add(conf("other", {"type": "host-local", "subnet": "10.64.0.0/24"}), "c2", lab.netns("c2"))
    cni.add(conf("shut", {**section, "exclude": ["10.63.0.128/25"]}), "c3", lab.netns("c3"))
    for address, reached in (("10.63.0.70", False), ("10.63.0.130", True), ("10.64.0.9", False)):
        assert (lab.run("ip", "route", "get", address).returncode == 0) is reached, address


def test_prune_takes_the_guards_of_a_network_without_endpoints(lab: Lab, cni: Caller) -> None:
    one, two = (conf(n, {"type": "host-local", "subnet": f"10.6{i}.0.0/24"}) for i, n in ((3, "one"), (4, "two")))
    for network, name in ((one, "c1"), (two, "c2")):
        cni.add(network, name, lab.netns(name))
    cni.delete(one, "c1", "/var/run/netns/c1")
    lab.out("/opt/cni/bin/calico", "prune", "--yes")
    routes = lab.out("ip", "route", "show", "type", "unreachable")
    assert "10.64.0.0/24" in routes
    assert "10.63.0.0/24" not in routes


@BOTH
def test_an_address_of_delegated_ipam_that_was_given_back_goes_nowhere(lab: Lab, cni: Caller, family: int) -> None:
    lab.override("shut", CLOSED)
    away(lab, cni, family)
    lab.path("/opt/cni/bin/host-local-too").symlink_to("host-local")
    only = {"subnet": SUBNETS[family], "rangeStart": ONLY[family], "rangeEnd": ONLY[family]}
    network = conf("shut", {"type": "host-local-too", "ranges": [[only]]})
    talk(lab, "outside", "", 7, ONLY[family], 9)
    assert lab.flows(ONLY[family])
    for name in ("c1", "c2"):
        assert addresses(cni.add(network, name, lab.netns(name))) == [ONLY[family]]
        assert both(lab, name, family) == (0, 0)
        cni.delete(network, name, f"/var/run/netns/{name}")
        assert lab.run("ip", f"-{family}", "route", "get", ONLY[family]).returncode != 0


@BOTH
def test_a_published_port_of_a_dead_container_opens_nothing_for_the_next(lab: Lab, cni: Caller, family: int) -> None:
    lab.override("shut", CLOSED)
    lab.override("open", "network: open\ningress:\n  - action: Allow\n")
    ip = {4: "ip", 6: "ip6"}[family]
    to = {4: f"{ONLY[4]}:9", 6: f"[{ONLY[6]}]:9"}[family]
    script = (
        f"add table {ip} published\nadd chain {ip} published pre {{ type nat hook prerouting priority dstnat; }}\n"
        f"add rule {ip} published pre {ip} daddr {HOST[family]} udp dport 8009 dnat to {to}\n"
    )
    lab.write("/run/published.nft", script)
    lab.out("nft", "-f", "/run/published.nft")
    first, second = one_address("open", family), one_address("shut", family)
    cni.add(first, "c1", lab.netns("c1"))
    argv = ("/usr/bin/python3", "-c", TALK, "", "7", HOST[family], "1", "8009")
    with subprocess.Popen(lab.command(*argv, inside="outside"), stdout=subprocess.PIPE) as other:
        assert talk(lab, "c1", "", 9, OUTSIDE[family], 7, 1) > 0
        assert int(other.communicate()[0]) > 0
    cni.delete(first, "c1", "/var/run/netns/c1")
    talk(lab, "outside", "", 7, HOST[family], 8009)  # keeps the old flow alive
    cni.add(second, "c2", lab.netns("c2"))
    with subprocess.Popen(lab.command(*argv, inside="outside"), stdout=subprocess.PIPE) as other:
        assert talk(lab, "c2", "", 9, OUTSIDE[family], 7, 1) == 0
        assert int(other.communicate()[0]) == 0


def test_a_killed_forgetting_is_done_by_the_next_add(lab: Lab, cni: Caller) -> None:
    network = one_address("shut", 4)
    cni.add(network, "c1", lab.netns("c1"))
    cni.delete(network, "c1", "/var/run/netns/c1")
    assert ("l", '"4:0a3f0002"') in state_log.entries(lab.path(STATE).read_bytes())
    cni.add(network, "c2", lab.netns("c2"))
    assert not {table for table, _ in state_log.entries(lab.path(STATE).read_bytes())} & {"l", "u"}


@BOTH
def test_an_address_is_given_again_without_a_word_of_its_former_flows_to_others(
    lab: Lab, cni: Caller, family: int
) -> None:
    # Another endpoint's flows, and those of the host, survive the forgetting, however long a busy machine takes.
    lab.out("sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600")
    lab.override("open", "network: open\ningress:\n  - action: Allow\n")
    other = conf("open", {"type": "host-local", "subnet": {4: "10.65.0.0/24", 6: "fd00:65::/64"}[family]})
    address = addresses(cni.add(other, "o1", lab.netns("o1")))[0]
    talk(lab, "outside", "", 7, address, 9)
    before = lab.flows(address)
    assert before
    network = one_address("open", family)
    for name in ("c1", "c2"):
        cni.add(network, name, lab.netns(name))
        talk(lab, "outside", "", 7, ONLY[family], 9)
        assert lab.flows(ONLY[family])
        cni.delete(network, name, f"/var/run/netns/{name}")
    cni.add(network, "c3", lab.netns("c3"))
    assert lab.flows(ONLY[family]) == []
    assert lab.flows(address)
