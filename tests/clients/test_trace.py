"""calico-rkt trace on a host with containers: what dropped a packet, by whose rule, in which line of which file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_rkt.plugin.link.groups import group_of
from tests.clients.support.caller import Caller
from tests.clients.support.lab import HOST_V4, OUTSIDE_V4, OUTSIDE_V6, OVERRIDES, PLUGINS, Lab, conf, pool, until
from tests.clients.support.tracing import send, started, traced

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB, WEB6 = "10.61.0.1", "fd61::1"
BACK, BACK6 = "10.62.0.1", "fd62::1"
PORTS = ", ".join(str(n) for n in range(2000, 2130, 2))
BACK_YAML = f"""network: back
ingress:
  - {{action: Allow, protocol: TCP, source: {{network: web}}, destination: {{ports: [{PORTS}]}}}}
  - {{action: Deny, protocol: UDP, source: {{network: web}}, destination: {{ports: [53]}}}}
  - {{action: Allow, protocol: UDP, destination: {{ports: [54]}}}}
egress:
  - {{action: Deny, destination: {{nets: [198.51.100.0/24, "2001:db8:7::/48"]}}}}
  - default
"""


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """Two networks with a container each, w1 in `web` and b1 in `back`; tests put back what they change."""
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-trace")
    cni = Caller(lab)
    lab.override("back", BACK_YAML)
    lab.out("ip", "route", "add", "default", "via", OUTSIDE_V4)
    lab.out("ip", "-6", "route", "add", "default", "via", OUTSIDE_V6)
    for name, four, six, netns in (
        ("web", "10.61.0.0/24", "fd61::/64", "w1"),
        ("back", "10.62.0.0/24", "fd62::/64", "b1"),
    ):
        network = conf(name, pool(four, six), ipMasq=True)
        lab.write(f"/etc/cni/net.d/{name}.conf", json.dumps(network))
        cni.add(network, netns * 6, lab.netns(netns))
    yield lab
    lab.close()


def calico(lab: Lab, *argv: str) -> subprocess.CompletedProcess[str]:
    done = lab.run(f"{PLUGINS}/calico", *argv)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


YAML = f"{OVERRIDES}/back.yaml"


def stages(packet: dict[str, Any]) -> list[tuple[str, str]]:
    return [(stage["stage"], stage["line"] or stage["rule"]) for stage in packet["stages"]]


NOTHING = "no rule allows it (no override; default rules: same-network)"


def test_a_drop_names_the_rule_its_file_and_its_line_at_either_end(host: Lab) -> None:
    """65 ports are more than Calico takes in one rule, so one was written as two."""

    def sending() -> None:
        send(host, "b1", "udp", WEB, 9)
        for target in (BACK, BACK6):
            send(host, "w1", "udp", target, 53)
        send(host, "w1", "udp", BACK, 55)
        send(host, "w1", "tcp", BACK, 2128)

    found = traced(host, "w1", "b1", sending=sending, count=6)
    let_out = ("egress of web", "same-network.yaml:6")
    assert [(p["fate"], *stages(p)) for p in found.packets] == [
        ("dropped", ("egress of back", "same-network.yaml:6"), ("ingress of web", NOTHING)),
        *[("dropped", let_out, ("ingress of back", f"{YAML}:4"))] * 2,
        ("dropped", let_out, ("ingress of back", f"{YAML}:1")),
        ("passed", let_out, ("ingress of back", f"{YAML}:3")),
        ("passed",),
    ]
    assert [(p["reply"], p["flags"]) for p in found.packets[-2:]] == [(False, "SYN"), (True, "ACK,RST")]
    assert not any(p["reply"] for p in found.packets[:-1])
    assert found.packets[1]["source"]["endpoint"] == f"{'w1' * 6} (web)"
    assert (
        found.packets[1]["kernel"] == "table inet calico_rkt, chain in-back, rule 3: ip saddr @m4-web udp dport 53 drop"
    )
    assert (found.status, found.end["dropped"], found.end["passed"], found.end["replies"]) == (1, 4, 2, 1)


def test_a_drop_on_the_way_out_and_one_on_the_way_to_the_host_are_told(host: Lab) -> None:
    def sending() -> None:
        for target in ("198.51.100.7", "2001:db8:7::7"):
            send(host, "b1", "udp", target, 9)
        send(host, "b1", "udp", OUTSIDE_V4, 9)

    found = traced(host, "b1", "outside", sending=sending, count=3)
    denied = [("egress of back", f"{YAML}:7")]
    assert [(p["fate"], stages(p)) for p in found.packets[:2]] == [("dropped", denied)] * 2
    assert found.packets[2]["fate"] == "passed"
    assert found.packets[2]["left_as"].startswith(f"{HOST_V4}:")
    found = traced(host, "b1", "host", sending=lambda: send(host, "b1", "udp", HOST_V4, 9))
    assert stages(found.one)[1:] == [("what back sends to the host", "endpoint_to_host: drop (nothing says otherwise)")]
    assert found.one["destination"]["endpoint"] == f"the host ({HOST_V4})"


def test_where_all_pass_the_way_out_says_where_to_look(host: Lab) -> None:
    found = traced(host, "host", "b1", "tcp", sending=lambda: send(host, "", "tcp", BACK, 9), count=2)
    assert [stages(p) for p in found.packets] == [[("the host", "it reaches its own containers always")], []]
    assert (found.status, found.end["words"][1].partition(":")[0]) == (0, "all of them passed, and answers came back")


def test_a_container_that_sends_with_another_s_address_is_named(host: Lab) -> None:
    host.out("ip", "address", "add", "10.62.0.77/32", "dev", "lo", inside="w1")
    try:
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54, "10.62.0.77"))
    finally:
        host.out("ip", "address", "del", "10.62.0.77/32", "dev", "lo", inside="w1")
    fate, stage, words = found.decided
    assert (fate, stage) == ("dropped", "source check")
    assert "sends with 10.62.0.77" in words
    assert f"its own is {WEB}" in words


def test_the_outside_that_sends_with_a_container_s_address_is_named(host: Lab) -> None:
    host.out("ip", "address", "add", f"{WEB}/32", "dev", "lo", inside="outside")
    try:
        found = traced(host, "outside", "b1", sending=lambda: send(host, "outside", "udp", BACK, 54, WEB))
    finally:
        host.out("ip", "address", "del", f"{WEB}/32", "dev", "lo", inside="outside")
    assert found.decided[:2] == ("dropped", "source check")
    assert "out0" in found.decided[2]
    assert found.one["source"]["endpoint"] == f"out0, with the address of {'w1' * 6} (web)"


def test_another_firewall_s_rule_is_named(host: Lab) -> None:
    host.out("nft", "add table inet fw")
    host.out("nft", "add chain inet fw f { type filter hook forward priority 10; policy drop; }")
    host.out("nft", f"add rule inet fw f ip daddr {BACK} udp dport 54 reject")

    def sending() -> None:
        send(host, "w1", "udp", BACK, 54)
        send(host, "w1", "udp", BACK6, 54)

    try:
        found = traced(host, "w1", "b1", sending=sending, count=2)
    finally:
        host.out("nft", "delete table inet fw")
    ours = [("egress of web", "same-network.yaml:6"), ("ingress of back", f"{YAML}:5")]
    assert [stages(p) for p in found.packets] == [[*ours, ("another firewall on this host", "not a rule of ours")]] * 2
    assert [p["kernel"] for p in found.packets] == [
        f"table inet fw, chain f, rule 1: ip daddr {BACK} udp dport 54 reject with icmp port-unreachable",
        "table inet fw, chain f: its policy is drop",
    ]


def test_a_published_port_is_told_whether_it_passes_or_not(host: Lab) -> None:
    host.out("nft", "add table ip pub; add chain ip pub p { type nat hook prerouting priority dstnat; }")
    for port, to in ((88, 54), (90, 55)):
        host.out("nft", f"add rule ip pub p ip daddr {HOST_V4} udp dport {port} dnat to {BACK}:{to}")

    def sending() -> None:
        send(host, "outside", "udp", HOST_V4, 88)
        send(host, "outside", "udp", HOST_V4, 90)

    try:
        passed, refused, dropped = traced(host, "outside", "b1", sending=sending, count=3).packets
    finally:
        host.out("nft", "delete table ip pub")
    assert (passed["fate"], passed["sent_to"]) == ("passed", f"{HOST_V4}:88")
    assert (refused["fate"], refused["reply"], refused["icmp"]) == ("passed", True, {"type": 3, "code": 3})
    assert (dropped["fate"], stages(dropped)) == ("dropped", [("ingress of back", f"{YAML}:1")])
    assert (dropped["sent_to"], dropped["destination"]["port"]) == (f"{HOST_V4}:90", 55)


def test_where_no_rule_of_nftables_dropped_it_that_is_said(host: Lab) -> None:
    host.out("sysctl", "-qw", "net.ipv4.ip_forward=0")
    found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54))
    assert found.decided == ("lost", "routing", "forwarding is off on this host: net.ipv4.ip_forward = 0")
    assert found.one["look"] == "calico-rkt restore"
    calico(host, "restore")
    host.out("ip", "route", "del", "default")
    try:
        found = traced(host, "w1", "outside", sending=lambda: send(host, "w1", "udp", "203.0.113.7", 9))
    finally:
        host.out("ip", "route", "add", "default", "via", OUTSIDE_V4)
    assert found.decided == ("lost", "routing", "the host has no route to 203.0.113.7")
    host.out("iptables-legacy", "-I", "FORWARD", "-p", "udp", "-j", "DROP")
    try:
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54))
    finally:
        host.out("iptables-legacy", "-F", "FORWARD")
    assert found.decided[:2] == ("lost", "behind our policy")
    assert found.one["look"].startswith("iptables-legacy -S")


def test_an_interface_without_policy_a_closed_host_and_an_answer_to_nothing_are_told_apart(host: Lab) -> None:
    found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "icmp", BACK, 0))
    assert found.decided[:2] == ("dropped", "connection tracking")
    ifname = json.loads(calico(host, "ls", "w1", "--format", "json").stdout)["endpoints"][0]["host_ifname"]
    group = group_of("web")
    host.out("ip", "link", "set", "dev", ifname, "group", "default")
    try:
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54))
        assert found.decided[:2] == ("dropped", "no policy in force")
        assert ifname in found.decided[2]
        host.out("ip", "link", "set", "dev", ifname, "group", str(group))
        host.out("nft", f"delete element inet calico_rkt from_network {{ {group} }}")
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54))
        assert found.decided[:2] == ("dropped", "no policy in force")
        assert ifname in found.decided[2]
        host.out("nft", "delete table inet calico_rkt")
        host.out("/usr/bin/python3", "-c", CLOSE, f"{PLUGINS}/calico")
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 54))
        assert found.decided[:2] == ("dropped", "the host is closed")
        assert found.stderr.startswith("calico-rkt: warning: the nftables table inet calico_rkt is closed")
    finally:
        calico(host, "restore")


CLOSE = """
import sys
sys.path.insert(0, sys.argv[1])
from calico_rkt.plugin.enforce.nft.closing import close_first
close_first()
"""


def test_files_that_say_something_else_than_what_is_in_force_are_not_blamed(host: Lab) -> None:
    host.override("back", BACK_YAML.replace("network: back\n", "network: back\nendpoint_to_host: return\n"))
    try:
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 53))
    finally:
        host.override("back", BACK_YAML)
    last = found.one["stages"][-1]
    assert last["line"] is None
    assert "calico-rkt apply" in last["note"]
    assert last["rule"].startswith("Deny UDP")


def test_a_list_that_was_published_merged_names_the_line_that_decides(host: Lab) -> None:
    """Longer than Calico takes: what the kernel has says many lines at once, and the packet says which it is."""
    line = "  - {{action: {}, protocol: UDP, source: {{nets: [{}]}}, destination: {{ports: [{}]}}}}\n"
    nets = [f"10.{n >> 7}.{2 * n & 255}.0/24" for n in range(1100)]
    lines = [line.format("Deny" if n == 700 else "Allow", net, 53) for n, net in enumerate(nets)]
    lines.insert(500, line.format("Deny", f"{WEB}/32", 53))
    host.override("back", "network: back\ningress:\n" + "".join(lines))
    try:
        assert calico(host, "apply", "--yes", "back").returncode == 0
        assert (
            "ingress in calico-v3: 1,101 rules in "
            in calico(host, "compile", "/etc/cni/net.d/back.conf", "--explain").stdout
        )
        found = traced(host, "w1", "b1", sending=lambda: send(host, "w1", "udp", BACK, 53))
        assert stages(found.one)[-1] == ("ingress of back", f"{YAML}:503")
        assert found.one["fate"] == "dropped"
        explained = calico(host, "explain", "w1" * 6, "b1" * 6, "udp/53")
        assert f"{YAML}:503" in explained.stdout, explained
    finally:
        host.override("back", BACK_YAML)
        assert calico(host, "apply", "--yes", "back").returncode == 0


def test_nothing_that_came_is_told_apart_from_what_came_to_others(host: Lab) -> None:
    found = traced(host, "w1", "b1", sending=lambda: None, seconds=0.3)
    assert "arrived at this host at all" in found.end["words"][0]
    found = traced(host, "w1", "b1", "udp/9", sending=lambda: send(host, "w1", "udp", BACK, 54), seconds=2)
    assert found.end["words"][0].startswith("nothing of that came.")
    assert found.end["sent"] == 1
    assert found.status == 1


def tables(lab: Lab) -> str:
    return lab.out("nft", "list", "tables")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_its_table_ends_with_it_however_it_ends_and_nobody_takes_it_away_before(host: Lab, number: int) -> None:
    process, _ = started(host, "w1", "b1")
    assert "inet calico_rkt_trace" in tables(host)
    assert host.run("nft", "delete", "table", "inet", "calico_rkt_trace").returncode == 1
    if number == signal.SIGINT:
        second = calico(host, "trace", "w1", "b1")
        assert second.returncode == 2
        assert second.stderr.startswith("calico-rkt: another calico-rkt trace is watching on this host\n")
        status = calico(host, "status")
        assert (status.returncode, "trace" in status.stdout) == (0, False)
    (pid,) = host.out("pgrep", "-f", " trace w1 b1").split()
    host.out("kill", f"-{int(number)}", pid)
    out, err = process.communicate()
    until(lambda: "calico_rkt_trace" not in tables(host), "its table is gone")
    assert err == ""
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert out.startswith("nothing came")


def test_people_read_one_line_for_what_is_repeated(host: Lab) -> None:
    process, _ = started(host, "w1", "b1", "--count", "3")
    for _ in range(3):
        send(host, "w1", "udp", BACK, 53)
    out, _ = process.communicate()
    first, *rest, last = out.splitlines()
    assert first.partition(" ")[2].startswith(f"DROPPED UDP {WEB}:")
    assert rest == [
        f"    from {'w1' * 6} (web) to {'b1' * 6} (back)",
        "    let on by egress of web: same-network.yaml:6 Allow everything",
        f"    by ingress of back: {YAML}:4 Deny UDP from endpoints with has(web) to port 53",
        "    nftables: table inet calico_rkt, chain in-back, rule 3: ip saddr @m4-web udp dport 53 drop",
    ]
    assert last == "3 packets: 3 dropped, 0 passed (2 of them like one above)"


WRONG = {
    "w2 b1": "nobody here is called 'w2'",
    "outside host": "neither the outside nor the host is a container or a network of this host",
    "w1 b1 icmp --port 80": "icmp has no ports",
}


def test_what_is_asked_wrongly_is_refused_before_anything_is_added(host: Lab) -> None:
    for argv, words in WRONG.items():
        done = calico(host, "trace", *argv.split())
        assert (done.returncode, done.stdout) == (2, ""), argv
        assert words in done.stderr, argv
    assert "calico_rkt_trace" not in tables(host)


def test_of_a_long_list_which_is_a_map_the_packet_says_the_line(host: Lab) -> None:
    rules = "".join(
        f"  - {{action: {'Deny' if n % 2 else 'Allow'}, protocol: UDP, source: {{nets: [10.61.0.0/24]}}, "
        f"destination: {{ports: [{3000 + n}]}}}}\n"
        for n in range(30)
    )
    host.override("many", f"network: many\ningress:\n{rules}")
    network = conf("many", pool("10.63.0.0/24"))
    host.write("/etc/cni/net.d/many.conf", json.dumps(network))
    Caller(host).add(network, "m1" * 6, host.netns("m1"))

    def sending() -> None:
        for port in (3004, 3007, 3100):
            send(host, "w1", "udp", "10.63.0.1", port)

    found = traced(host, "w1", "m1", sending=sending, count=4)
    opening = [p for p in found.packets if not p["reply"]]
    assert [(p["fate"], stages(p)[-1]) for p in opening] == [
        ("passed", ("ingress of many", f"{OVERRIDES}/many.yaml:7")),
        ("dropped", ("ingress of many", f"{OVERRIDES}/many.yaml:10")),
        ("dropped", ("ingress of many", f"{OVERRIDES}/many.yaml:1")),
    ]
    assert opening[1]["kernel"].startswith("table inet calico_rkt, chain in-many, rule 1: ip saddr . udp dport vmap {")


@pytest.mark.parametrize(("source", "target"), [(WEB, BACK), (WEB6, BACK6)], ids=["v4", "v6"])
def test_a_packet_in_fragments_is_told_as_what_becomes_of_it(host: Lab, source: str, target: str) -> None:
    """Each comes in by itself and is kept by the kernel: what it makes of them is what meets policy."""
    found = traced(host, "w1", "b1", "udp", sending=lambda: send(host, "w1", "parts", target, 54), seconds=4, count=9)
    assert (found.one["fate"], found.one["protocol"], found.one["destination"]["port"]) == ("passed", "UDP", 54)
    assert (found.one["source"]["ip"], found.one["left_as"]) == (source, None)
    assert stages(found.one)[-1] == ("ingress of back", f"{YAML}:5")
    assert (found.status, found.end["lost"]) == (0, 0)
    denied = traced(host, "w1", "b1", "udp/53", sending=lambda: send(host, "w1", "parts", target, 53), seconds=4)
    assert denied.decided == ("dropped", "ingress of back", f"{YAML}:4")


def test_a_fragment_whose_other_parts_do_not_come_is_told_as_that(host: Lab) -> None:
    found = traced(host, "w1", "b1", "udp", sending=lambda: send(host, "w1", "part", BACK, 54), seconds=4)
    assert (found.status, found.packets, found.end["lost"]) == (1, [], 0)
    assert found.end["words"][0] == ("nothing of that came whole: only 1 fragment, and the other parts did not come")
