"""Flows and their addresses: who takes an address over inherits nothing, and IPv6 works from the first packet."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import Lab, conf, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

SUBNETS = {4: "10.62.0.0/24", 6: "fd00:62::/64"}
ONLY = {4: "10.62.0.9", 6: "fd00:62::9"}
OPEN = "network: open\ningress:\n  - action: Allow\n"

SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 8080))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 40000))
s.settimeout(float(sys.argv[2]))
s.sendto(b"hello", (sys.argv[1], 8080))
try:
    print(s.recv(100).decode())
except TimeoutError:
    print("silence")
"""


def one_address(network: str, family: int) -> dict[str, Any]:
    """A network that has exactly one address to give, the same one in every network."""
    only = {"subnet": SUBNETS[family], "rangeStart": ONLY[family], "rangeEnd": ONLY[family]}
    return conf(network, {"type": "host-local", "ranges": [[only]]})


def answer(lab: Lab, address: str, inside: str = "", wait: float = 10) -> str:
    done = lab.run("/usr/bin/python3", "-c", ASK, address, str(wait), inside=inside)
    return done.stdout.decode().strip()


def served(lab: Lab, cni: Caller, servers: list[subprocess.Popen[bytes]], network: dict[str, Any], name: str) -> str:
    """A container with an echo server; its address, once the host has had an answer."""
    address = addresses(cni.add(network, name, lab.netns(name)))[0]
    servers.append(lab.start("ip", "netns", "exec", name, "/usr/bin/python3", "-c", SERVER, address))
    until(lambda: answer(lab, address, wait=0.2) == "hello", "the host hears the container's server")
    return address


@pytest.mark.parametrize("family", [4, 6])
def test_an_address_that_is_used_again_inherits_no_flow_of_its_former_holder(
    lab: Lab, cni: Caller, servers: list[subprocess.Popen[bytes]], family: int
) -> None:
    lab.override("open", OPEN)
    first, second = one_address("open", family), one_address("closed", family)
    address = served(lab, cni, servers, first, "former")
    assert answer(lab, address, "outside") == "hello"
    assert lab.flows(address)
    cni.delete(first, "former", "/var/run/netns/former")
    assert served(lab, cni, servers, second, "latter") == address
    assert answer(lab, address, "outside", wait=1) == "silence"


@pytest.mark.parametrize("family", [4, 6])
def test_the_first_packet_after_an_add_arrives(lab: Lab, cni: Caller, family: int) -> None:
    # The lab's own uplink asks for duplicates of its link-local address for two seconds, which is none of our wait.
    until(lambda: "tentative" not in lab.out("ip", "-6", "address"), "the host's uplink is ready")
    until(lambda: "tentative" not in lab.out("ip", "-6", "address", inside="outside"), "the outside's is, too")
    network = one_address("open", family)
    address = addresses(cni.add(network, "c1", lab.netns("c1")))[0]
    # A link that came up has its queue once a worker of the kernel (linkwatch) ran: at once, but on a busy machine.
    until(lambda: "state UP" in lab.out("ip", "link", "show", "eth0", inside="c1"), "the container's end has its queue")
    until(lambda: not re.search(r" crk.* state (?!UP)", lab.out("ip", "link")), "the host's end has its queue")
    outside = "192.0.2.9" if family == 4 else "2001:db8:ffff::9"
    done = lab.run("ping", "-n", "-q", "-c", "1", "-W", "20", "-I", address, outside, inside="c1")
    assert done.returncode == 0, done
