"""How many neighbours of one host end a container makes the host remember: few, and those it needs."""

from __future__ import annotations

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import Lab, conf, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

ASK = """
import ipaddress, socket, struct, sys
mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
host = bytes.fromhex("ee" * 6)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
targets4 = [ipaddress.ip_address(a).packed for a in ("192.0.2.1", "169.254.1.1", "192.0.2.9")]
gateway = ipaddress.ip_address("fe80::ecee:eeff:feee:eeee").packed
for n in range(1, 301):
    for sender in (ipaddress.ip_address("10.66.1.0") + n, ipaddress.ip_address("198.18.0.0") + n):
        for operation in (1, 2):
            for target in targets4:
                arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + mac + sender.packed + bytes(6) + target
                s.send(host + mac + b"\\x08\\x06" + arp)
    for sender in (ipaddress.ip_address("fe80::1:0") + n, ipaddress.ip_address("fd00:66::1:0") + n):
        asks = (135, bytes(4) + gateway + b"\\1\\1" + mac)
        tells = (136, b"\\xe0\\0\\0\\0" + sender.packed + b"\\2\\1" + mac)
        solicits = (133, bytes(4) + b"\\1\\1" + mac)
        for kind, body in (asks, tells, solicits):
            to = ipaddress.ip_address("ff02::2").packed if kind == 133 else gateway
            message = struct.pack("!BBH", kind, 0, 0) + body
            data = sender.packed + to + struct.pack("!II", len(message), 58) + message
            data += bytes(len(data) % 2)
            total = sum(struct.unpack(f"!{len(data) // 2}H", data))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
            frame = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + sender.packed + to + message
            s.send(host + mac + b"\\x86\\xdd" + frame)
"""
"""ARP and neighbour discovery with 300 senders of each kind, towards the host and its gateway addresses."""


def test_a_container_that_asks_with_300_addresses_leaves_at_most_16_neighbours(bare_lab: Lab) -> None:
    lab, cni = bare_lab, Caller(bare_lab)
    network = conf("open", pool("10.66.0.0/24", "fd00:66::/64"))
    lab.override("open", "network: open\ningress:\n  - action: Allow\nendpoint_to_host: accept\n")
    result = cni.add(network, "c1", lab.netns("c1"))
    name = next(i["name"] for i in result["interfaces"] if i["name"].startswith("crk"))
    done = lab.run("/usr/bin/python3", "-c", ASK, inside="c1")
    assert done.returncode == 0, done.stderr.decode()
    kept = lab.out("ip", "neigh", "show", "dev", name, "nud", "all").splitlines()
    assert len(kept) <= 16, kept
    for address, host in zip(addresses(result), ("192.0.2.1", "2001:db8:ffff::1"), strict=True):
        assert lab.run("ping", "-n", "-c", "1", "-W", "2", address).returncode == 0
        until(lambda to=host: lab.run("ping", "-n", "-c", "1", "-W", "1", to, inside="c1").returncode == 0, host)


def test_a_container_that_lost_its_gateways_neighbour_finds_it_by_asking(bare_lab: Lab) -> None:
    lab, cni = bare_lab, Caller(bare_lab)
    lab.override("open", "network: open\nendpoint_to_host: accept\n")
    cni.add(conf("open", pool("fd00:66::/64")), "c1", lab.netns("c1"))
    lab.out("ip", "-6", "neigh", "flush", "nud", "permanent", inside="c1")
    until(
        lambda: lab.run("ping", "-n", "-c", "1", "-W", "1", "2001:db8:ffff::1", inside="c1").returncode == 0,
        "the host answers for the gateway",
    )
