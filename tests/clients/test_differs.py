"""What somebody changes under our feet: status and CHECK name it, an ADD goes on, a restore puts it right."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24", "fd00:1::/64"))
API = conf("api", pool("10.2.0.0/24"))
TOOL = f"{PLUGINS}/calico"
T = "inet calico_rkt"


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """A host with an endpoint in each of two networks."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-differs")
    for known in (WEB, API):
        made.write(f"/etc/cni/net.d/{known['name']}.conf", json.dumps(known))
        Caller(made).add(known, known["name"], made.netns(known["name"]))
    yield made
    made.close()


def end(lab: Lab, network: str) -> str:
    """The host end's name of the network's container."""
    listed = json.loads(lab.out("ip", "-j", "link", "show", "type", "veth"))
    return next(i["ifname"] for i in listed if f" eth0 {network} " in i.get("ifalias", ""))


def status(lab: Lab) -> tuple[int, list[str]]:
    done = lab.run(TOOL, "status", "--format", "json", "--no-agent", env=environment())
    return done.returncode, json.loads(done.stdout)["differences"]


def check(lab: Lab, known: dict[str, object]) -> int:
    name = str(known["name"])
    return Caller(lab)("CHECK", known, name, f"/var/run/netns/{name}").status


EDITS = pytest.mark.parametrize(
    ("edit", "words", "of_web", "of_api"),
    [
        (f"nft insert rule {T} out-web return", "chain out-web, rule 1: `return` should not be there", True, False),
        ("ip link add br9 type bridge; ip link set WEB master br9", "the host's WEB is a port of br9", True, False),
        (f"nft flush set {T} source4", "set source4 lacks", True, True),
        ("sysctl -qw net.ipv4.ip_forward=0", "net/ipv4/ip_forward is off", True, True),
        ("sysctl -qw net.ipv4.conf.WEB.forwarding=0", "net/ipv4/conf/WEB/forwarding is off", True, False),
        ("sysctl -qw net.ipv4.conf.WEB.rp_filter=2", "net/ipv4/conf/WEB/rp_filter is 2, not 1", True, False),
        ("ip route flush dev WEB", "the host has no route to 10.1.0.", True, False),
        ("ip -6 route flush dev WEB", "the host has no route to fd00:1::", True, False),
        ("ip link set WEB down", "the host's WEB is down", True, False),
        (
            "ip link set WEB down; ip link set WEB name other0; ip link set other0 up",
            "other0 should be called",
            True,
            False,
        ),
        ("ip link set WEB arp off", "the host's WEB asks for no neighbours (arp off)", False, False),
        ("ip link set WEB address 02:00:00:00:00:09", "has the MAC 02:00:00:00:00:09, not ee:ee", True, False),
        (
            "set -- $(ip route show dev WEB); ip neigh replace $1 lladdr 02:00:00:00:00:08 dev WEB nud permanent",
            "takes 02:00:00:00:00:08 for 10.1.0.",
            True,
            False,
        ),
        (
            "ip route del unreachable 10.1.0.0/24 metric 4294967295",
            "no unreachable route that keeps 10.1",
            False,
            False,
        ),
        ("ip -6 address flush dev WEB", "lacks fe80::ecee:eeff:feee:eeee", True, False),
    ],
)


@EDITS
def test_status_names_it_check_fails_for_whom_it_concerns_and_restore_mends_it(
    host: Lab, edit: str, words: str, of_web: bool, of_api: bool
) -> None:
    assert status(host) == (0, [])
    name = end(host, "web")
    host.out("sh", "-ec", edit.replace("WEB", name))
    code, found = status(host)
    assert (code, any(words.replace("WEB", name) in line for line in found)) == (1, True), found
    if of_web:
        assert check(host, WEB) == 1
    assert check(host, API) == int(of_api)
    host.out(TOOL, "restore")
    assert status(host) == (0, [])
    assert check(host, WEB) == 0


def test_a_chain_below_our_table_on_a_host_end_is_named_by_status_and_doctor(host: Lab) -> None:
    name = end(host, "web")
    chain = f'{{ type filter hook ingress device "{name}" priority 0; policy accept; }}'
    host.out("nft", "add table netdev low")
    host.out("nft", f"add chain netdev low below {chain}")
    host.out("nft", "add rule netdev low below counter")
    assert status(host) == (0, [])
    host.out("nft", "add rule netdev low below udp dport 7 drop")
    done = host.run(TOOL, "status", "--no-agent", env=environment())
    said = f"chain below of table netdev low may drop packets at {name}, before our table sees them"
    assert (done.returncode, said in done.stdout.decode()) == (1, True), done
    assert said in host.run(TOOL, "doctor", env=environment()).stdout.decode()
    host.out("nft", "delete table netdev low")
    assert status(host) == (0, [])


@pytest.mark.parametrize(
    "edit", [f"nft insert rule {T} out-web return", "ip link set WEB down", f"nft flush set {T} all4"]
)
def test_a_restore_only_if_needed_says_what_was_wrong(host: Lab, edit: str) -> None:
    idle = host.run(TOOL, "restore", "--if-needed", env=environment())
    assert (idle.returncode, b"nothing to restore" in idle.stdout) == (0, True), idle
    host.out("sh", "-ec", edit.replace("WEB", end(host, "web")))
    done = host.run(TOOL, "restore", "--if-needed", env=environment())
    assert (done.returncode, b"differs: " in done.stderr) == (0, True), done
    assert status(host) == (0, [])


def test_a_host_whose_own_setting_lets_neighbours_pile_up_is_told(host: Lab) -> None:
    host.out("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2")
    done = host.run(TOOL, "status", "--no-agent", env=environment())
    host.out("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
    assert (done.returncode, b"warning: net.ipv4.conf.all.rp_filter=2" in done.stdout) == (1, True), done


def test_the_first_add_of_a_network_tells_of_that_setting_and_no_other_does(host: Lab) -> None:
    late, cni = conf("late", pool("10.3.0.0/24")), Caller(host)
    host.out("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2")
    said = [cni("ADD", late, name, host.netns(name)).succeeded().stderr for name in ("l1", "l2")]
    host.out("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
    assert [b"net.ipv4.conf.all.rp_filter=2 weakens" in words for words in said] == [True, False], said
    for name in ("l1", "l2"):
        cni.delete(late, name, f"/var/run/netns/{name}")
        host.out("ip", "netns", "del", name)


def test_a_host_end_whose_container_has_gone_is_told_with_the_way_out(host: Lab) -> None:
    Caller(host).add(API, "late", host.netns("late"))
    host.out("ip", "netns", "del", "late")
    until(lambda: status(host)[0] == 1, "the link goes with its namespace")
    (line,) = status(host)[1]
    assert line.endswith("of late eth0 in network api: calico-rkt gc --attachment api/late/eth0")
    host.out(TOOL, "gc")
    assert status(host) == (0, [])


def test_the_agent_mends_what_the_look_of_every_call_does_not_see(host: Lab) -> None:
    agent = Agent(host).start()
    try:
        for edit in (
            f"flush set {T} source4",
            f"insert rule {T} out-web return",
            f"flush set {T} source4; add rule {T} in-api accept",
        ):
            restores = agent.counted("restores_total")
            host.out("nft", edit)
            until(lambda n=restores: agent.counted("restores_total") > n, "the agent compares after the news")
            assert status(host) == (0, [])
    finally:
        agent.kill()


def test_the_ranges_of_a_network_that_was_published_before_its_first_add_are_known_to_the_table(bare_lab: Lab) -> None:
    """Its chains are there since the first ADD of any network: what guards its addresses has to come all the same."""
    lab = bare_lab
    for known in (WEB, API):
        lab.write(f"/etc/cni/net.d/{known['name']}.conf", json.dumps(known))
    lab.out(TOOL, "apply", "--yes")
    for known in (WEB, API):
        Caller(lab).add(known, str(known["name"]), lab.netns(str(known["name"])))
    assert status(lab) == (0, [])


def test_what_host_ends_lack_is_mended_without_a_rebuild_of_the_table(host: Lab) -> None:
    """A rebuild lets no new flow begin meanwhile."""

    def handle() -> int:
        listed = json.loads(host.out("nft", "-j", "list", "tables", "inet"))["nftables"]
        return next(o["table"]["handle"] for o in listed if o.get("table", {}).get("name") == "calico_rkt")

    before, name = handle(), end(host, "web")
    host.out("sh", "-ec", f"ip link set {name} down; ip link set {name} group 7")
    done = host.run(TOOL, "restore", "--if-needed", env=environment())
    assert (done.returncode, b"is down" in done.stderr, handle()) == (0, True, before), done
    assert status(host) == (0, [])
    host.out("sh", "-ec", f"ip link set {name} down; nft insert rule {T} out-web return")
    host.out(TOOL, "restore", "--if-needed")
    assert (status(host), handle() > before) == ((0, []), True)


def test_a_route_that_comes_before_an_endpoint_s_own_is_told_and_is_its_owner_s_to_take_away(host: Lab) -> None:
    address = json.loads(host.out("ip", "-j", "route", "show", "dev", end(host, "web")))[0]["dst"]
    host.out("ip", "route", "prepend", "blackhole", address)
    try:
        words = f"the host's route to {address} leads another way than by {end(host, 'web')}"
        assert status(host) == (1, [words])
        assert (check(host, WEB), check(host, API)) == (1, 0)
        restored = host.run(TOOL, "restore", env=environment())
        assert words in restored.stderr.decode(), restored
        assert status(host) == (1, [words])
    finally:
        host.out("ip", "route", "del", "blackhole", address)
    assert status(host) == (0, [])
    assert check(host, WEB) == 0


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_an_endpoint_s_address_on_its_own_host_end_is_told_by_all_who_are_asked(host: Lab, family: str) -> None:
    """Then it is the host's: no packet for the container comes to it, though that interface has the address."""
    name = end(host, "web")
    routes = json.loads(
        host.out("ip", family, "-j", "route", "show", "dev", name, "scope", "link" if family == "-4" else "global")
    )
    address = next(r["dst"] for r in routes if not r["dst"].startswith("fe80"))
    host.out(
        "ip",
        family,
        "address",
        "add",
        f"{address}/{32 if family == '-4' else 128}",
        "dev",
        name,
        *(["nodad"] if family == "-6" else []),
    )
    words = f"the host's route to {address} leads another way than by {name}"
    assert status(host) == (1, [words])
    assert (check(host, WEB), check(host, API)) == (1, 0)
    attested = host.run(TOOL, "attest", env=environment())
    assert (attested.returncode, words in attested.stdout.decode()) == (1, True), attested
    host.out("ip", family, "address", "flush", "dev", name, "to", address)
    host.out(TOOL, "restore")  # the kernel took the endpoint's route with it
    assert status(host) == (0, [])


@pytest.mark.parametrize("does", ["blackhole", "lookup 100"])
def test_a_rule_that_leads_an_endpoint_s_packets_elsewhere_is_told_as_check_tells_it(host: Lab, does: str) -> None:
    address = json.loads(host.out("ip", "-j", "route", "show", "dev", end(host, "web")))[0]["dst"]
    rule = f"to {address} {does} priority 100"
    host.out("sh", "-c", f"ip rule add {rule}; ip route add default dev lo table 100")
    try:
        words = f"the host's route to {address} leads another way than by {end(host, 'web')}"
        assert status(host) == (1, [words])
        assert (check(host, WEB), check(host, API)) == (1, 0)
        attested = host.run(TOOL, "attest", env=environment())
        assert attested.returncode == 3, "a rule may be about some packets: nothing is said for all"
    finally:
        host.out("sh", "-c", f"ip rule del {rule}; ip route flush table 100")
    assert status(host) == (0, [])


def test_a_rule_about_other_packets_is_no_difference(host: Lab) -> None:
    for about in ("fwmark 7", "iif lo to 198.51.100.1", "from 198.51.100.2"):
        host.out("ip", "rule", "add", *about.split(), "blackhole", "priority", "100")
        try:
            assert status(host) == (0, []), about
        finally:
            host.out("ip", "rule", "del", "priority", "100")


def test_a_host_end_that_no_record_knows_is_told_by_status_restore_and_attest(host: Lab) -> None:
    alias = "calico-rkt 0123456789abcdef eth0 web ghost"
    host.out("ip", "link", "add", "crk0000000000aa", "type", "veth", "peer", "name", "ghost0")
    host.out("ip", "link", "set", "crk0000000000aa", "alias", alias)
    host.out("ip", "link", "set", "crk0000000000aa", "up")
    try:
        words = "crk0000000000aa is a host end of ours that no record knows"
        code, found = status(host)
        assert (code, [words in line for line in found]) == (1, [True]), found
        for command in (["restore"], ["restore", "--if-needed"]):
            done = host.run(TOOL, *command, env=environment())
            assert (done.returncode, words in done.stderr.decode()) == (1, True), done
        attested = host.run(TOOL, "attest", env=environment())
        assert (attested.returncode, f"not proven: {words}" in attested.stdout.decode()) == (3, True), attested
        assert (check(host, WEB), check(host, API)) == (0, 0)
    finally:
        host.out("ip", "link", "del", "crk0000000000aa")
    assert status(host) == (0, [])
