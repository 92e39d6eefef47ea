"""Open flows when a policy changes: apply says that they go on, and --end-flows ends those that it denies."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import Lab, conf, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

FAMILIES = pytest.mark.parametrize("family", [4, 6])
SUBNETS = {4: "10.67.{}.0/24", 6: "fd00:67:{}::/64"}
OUTSIDE = {4: "192.0.2.9", 6: "2001:db8:ffff::9"}
HOST = {4: "192.0.2.1", 6: "2001:db8:ffff::1"}
OPEN = "ingress:\n  - action: Allow\n"

SERVE = """
import socket, sys, threading, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
def stream(taken):
    try:
        while True:
            taken.send(b"x")
            time.sleep(0.02)
    except OSError:
        pass
def echo():
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], 8080))
    while True:
        data, peer = udp.recvfrom(100)
        udp.sendto(data, peer)
threading.Thread(target=echo, daemon=True).start()
server = socket.create_server((sys.argv[1], 8080), family=family)
while True:
    threading.Thread(target=stream, args=(server.accept()[0],), daemon=True).start()
"""
"""A server whose connections send all the time without being asked, and that answers datagrams."""

LISTEN = """
import select, socket, sys, time
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
for _ in range(300):  # until the server is there
    s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind)
    s.settimeout(0.1)
    try:
        s.connect((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_DGRAM:
            s.send(b"x")
            s.recv(100)
        break
    except OSError:
        time.sleep(0.1)
last, told = time.monotonic(), False
while time.monotonic() - last < 2.5 and not select.select([sys.stdin], [], [], 0)[0]:
    try:
        if kind == socket.SOCK_DGRAM:
            s.send(b"x")
            time.sleep(0.02)
        if not s.recv(100):
            break
        last = time.monotonic()
        if not told:
            print("up", flush=True)
        told = True
    except TimeoutError:
        pass
    except ConnectionError as e:
        print("reset", flush=True)
        break
"""
"""A client that ends when it hears nothing for 2.5 s, is told that its connection is no more, or is told to."""


class Flow:
    def __init__(self, lab: Lab, inside: str, protocol: str, address: str, port: int = 8080) -> None:
        argv = ("/usr/bin/python3", "-c", LISTEN, protocol, address, str(port))
        command = lab.command(*argv, inside=inside)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n", (inside, protocol, address)

    def how_it_ended(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode().strip()


def ended(made: dict[str, Flow]) -> set[str]:
    """The flows that ended by now, or within the time in which a client notices silence."""
    time.sleep(3.5)
    return {name for name, flow in made.items() if flow.process.poll() is not None}


@contextlib.contextmanager
def flows() -> Iterator[dict[str, Flow]]:
    made: dict[str, Flow] = {}
    try:
        yield made
    finally:
        for flow in made.values():
            flow.process.communicate()  # closes its input


def network(name: str, family: int, number: int, **keys: Any) -> dict[str, Any]:
    return conf(name, {"type": "host-local", "subnet": SUBNETS[family].format(number)}, **keys)


def attached(lab: Lab, cni: Caller, made: dict[str, Any]) -> str:
    """A container of a network with a server in it; its address."""
    name = made["name"]
    lab.write(f"/etc/cni/net.d/{name}.conf", json.dumps(made))
    address = addresses(cni.add(made, name, lab.netns(name)))[0]
    lab.start("ip", "netns", "exec", name, "/usr/bin/python3", "-c", SERVE, address)
    return address


@FAMILIES
def test_flows_that_a_new_policy_denies_go_on_until_they_are_ended(bare_lab: Lab, family: int) -> None:
    lab, cni = bare_lab, Caller(bare_lab)
    for name in ("web", "db"):
        lab.override(name, f"network: {name}\n{OPEN}")
    web = attached(lab, cni, network("web", family, 1, ipMasq=True))
    db = attached(lab, cni, network("db", family, 2))
    lab.start("ip", "netns", "exec", "outside", "/usr/bin/python3", "-c", SERVE, OUTSIDE[family])
    ip, to = {4: ("ip", f"{web}:8080"), 6: ("ip6", f"[{web}]:8080")}[family]
    lab.write(
        "/run/published.nft",
        f"add table {ip} published\nadd chain {ip} published pre {{ type nat hook prerouting priority dstnat; }}\n"
        f"add rule {ip} published pre {ip} daddr {HOST[family]} tcp dport 8009 dnat to {to}\n",
    )
    lab.out("nft", "-f", "/run/published.nft")
    with flows() as made:
        made["in"] = Flow(lab, "outside", "tcp", web)
        made["published"] = Flow(lab, "outside", "tcp", HOST[family], 8009)
        made["datagrams in"] = Flow(lab, "outside", "udp", web)
        made["from db"] = Flow(lab, "db", "tcp", web)
        made["out"] = Flow(lab, "web", "tcp", OUTSIDE[family])
        made["datagrams out"] = Flow(lab, "web", "udp", OUTSIDE[family])
        made["to db"] = Flow(lab, "web", "tcp", db)
        made["of the host"] = Flow(lab, "", "tcp", web)
        made["others"] = Flow(lab, "outside", "tcp", db)
        lab.override("web", "network: web\ningress:\n  - action: Allow\n    protocol: TCP\n    source: {network: db}\n")
        done = lab.run("/opt/cni/bin/calico", "apply", "--yes")
        assert done.returncode == 0, done.stderr.decode()
        assert "go on, also the 3 that the policy denies: --end-flows ends those" in done.stdout.decode()
        assert all(flow.process.poll() is None for flow in made.values())
        done = lab.run("/opt/cni/bin/calico", "apply", "--yes", "--end-flows")
        assert done.stdout.decode().splitlines()[-1] == "ended 3 open flows that the policy denies", done
        assert ended(made) == {"in", "published", "datagrams in"}
        assert made["in"].how_it_ended() == "reset"
        assert made["published"].how_it_ended() == "reset"
        # The servers' own sockets are as before.
        made["again"] = Flow(lab, "db", "tcp", web)


def test_a_denied_egress_and_the_way_to_the_host_are_ended_with_the_apply_itself(bare_lab: Lab) -> None:
    lab, cni = bare_lab, Caller(bare_lab)
    lab.override("web", f"network: web\n{OPEN}endpoint_to_host: accept\n")
    web = attached(lab, cni, network("web", 4, 1))
    for place in ("outside", ""):
        enter = ("ip", "netns", "exec", place) if place else ()
        lab.start(*enter, "/usr/bin/python3", "-c", SERVE, (OUTSIDE if place else HOST)[4])
    with flows() as made:
        made["out"] = Flow(lab, "web", "tcp", OUTSIDE[4])
        made["to host"] = Flow(lab, "web", "tcp", HOST[4])
        made["in"] = Flow(lab, "outside", "tcp", web)
        lab.override("web", f"network: web\n{OPEN}egress: []\n")
        done = lab.run("/opt/cni/bin/calico", "apply", "--yes", "--end-flows")
        assert done.returncode == 0, done.stderr.decode()
        assert ended(made) == {"out", "to host"}, done.stdout.decode()


ABORT = """
import socket, struct, sys
server = socket.create_server((sys.argv[1], 8090))
while True:
    taken = server.accept()[0]
    taken.recv(1)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken.close()
"""
"""A server that answers a byte with a reset."""

ASK = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.settimeout(float(sys.argv[2]))
s.bind(("", 40404))
s.connect((sys.argv[1], 8090))
print("connected", flush=True)
s.send(b"x")
try:
    s.recv(1)
except ConnectionError:
    print("reset")
"""


def test_a_flow_that_was_reset_is_not_begun_again_in_its_own_name(bare_lab: Lab) -> None:
    """conntrack keeps it for ten seconds, and a SYN of the same ports counts as established there."""
    lab, cni = bare_lab, Caller(bare_lab)
    lab.override("web", f"network: web\n{OPEN}")
    web = attached(lab, cni, network("web", 4, 1))
    lab.start("ip", "netns", "exec", "web", "/usr/bin/python3", "-c", ABORT, web)

    def asked(patience: int) -> str:
        return lab.run("/usr/bin/python3", "-c", ASK, web, str(patience), inside="outside").stdout.decode()

    until(lambda: asked(1) == "connected\nreset\n", "the server is there")
    lab.override("web", "network: web\ningress: []\n")
    lab.write("/run/again.sh", '/opt/cni/bin/calico apply --yes --end-flows; ip netns exec outside "$@"')
    asked(1)
    done = lab.run("sh", "/run/again.sh", "/usr/bin/python3", "-c", ASK, web, "2")
    assert b"applied: web" in done.stdout, done
    assert b"connected" not in done.stdout


NEIGHBOUR = {4: "198.51.100.7", 6: "2001:db8:7::7"}
"""Whom the host has a route to alone, as to a peer of WireGuard."""


@FAMILIES
def test_a_neighbour_with_a_route_of_its_own_is_not_taken_for_the_host(bare_lab: Lab, family: int) -> None:
    lab, cni, peer = bare_lab, Caller(bare_lab), NEIGHBOUR[family]
    bits, ip, nodad = {4: ("32", ("ip",), ()), 6: ("128", ("ip", "-6"), ("nodad",))}[family]
    lab.out(*ip, "route", "add", f"{peer}/{bits}", "dev", "out0")
    lab.out("ip", "-n", "outside", "address", "add", f"{peer}/{bits}", "dev", "out0", *nodad)
    lab.override("web", f"network: web\n{OPEN}")
    web = attached(lab, cni, network("web", family, 1))
    lab.out(*ip, "-n", "outside", "route", "add", web, "via", HOST[family], "src", peer)
    lab.start("ip", "netns", "exec", "outside", "/usr/bin/python3", "-c", SERVE, peer)
    with flows() as made:
        made["in"] = Flow(lab, "outside", "tcp", web)
        made["out"] = Flow(lab, "web", "tcp", peer)
        made["of the host"] = Flow(lab, "", "tcp", web)
        lab.override("web", "network: web\ningress: []\n")
        done = lab.run("/opt/cni/bin/calico", "apply", "--yes", "--end-flows")
        assert done.stdout.decode().splitlines()[-1] == "ended 1 open flows that the policy denies", done
        assert ended(made) == {"in"}


def test_a_server_whose_namespace_has_lost_its_path_does_not_open_the_flow_anew(bare_lab: Lab) -> None:
    """It sends all the time, and by itself: what may leave would begin a flow of its own side."""
    lab, cni = bare_lab, Caller(bare_lab)
    lab.override("web", f"network: web\n{OPEN}")
    web = attached(lab, cni, network("web", 4, 1))
    with flows() as made:
        made["in"] = Flow(lab, "outside", "tcp", web)
        lab.out("ip", "netns", "del", "web")
        lab.override("web", "network: web\ningress: []\n")
        done = lab.run("/opt/cni/bin/calico", "apply", "--yes", "--end-flows")
        assert done.stdout.decode().splitlines()[-1] == "ended 1 open flows that the policy denies", done
        assert ended(made) == {"in"}
        assert made["in"].how_it_ended() == "reset"
