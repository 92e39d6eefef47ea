"""A number in, conntrack filled with that many flows of others, half of them IPv6; and ADD and DEL beside them, out."""

from __future__ import annotations

import statistics
import struct
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from socket import AF_INET, AF_INET6

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import attribute
from tests.bench.host import OURS, call, conf, netns

FLOWS = 60_000
SUBNETS = ("10.104.0.0/16", "fd00:104::/64")
_NEW, _TIMEOUT = 0x100, 7  # IPCTNL_MSG_CT_NEW, CTA_TIMEOUT
_UDP = 17


def pairs(medians: Callable[..., list[float]], rounds: int) -> Iterator[tuple[str, float, float]]:
    """ADD and DEL: (verb, median with the flows, median without any)."""
    both = {"type": "host-local", "ranges": [[{"subnet": s}] for s in SUBNETS]}
    ours = conf("calico", "flows", "", ipam=both)
    names = [f"flows{i}" for i in range(rounds // 4 + 1)]
    netns("add", names)
    work = [lambda i: call(OURS, "ADD", ours, names[i]), lambda i: call(OURS, "DEL", ours, names[i])]
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for with_flows in (False, True) * 4:  # in turn: a machine is not as busy all the time
        subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
        if with_flows:
            fill(FLOWS)
        found[with_flows].append(medians(work, rounds // 4))
    netns("del", names)
    for number, verb in enumerate(("ADD", "DEL")):
        many, few = (statistics.median(one[number] for one in found[w]) for w in (True, False))
        yield verb, many, few


def fill(flows: int) -> None:
    """Flows between addresses that nobody here has, for an hour."""
    with netlink.Socket(netlink.NETFILTER) as socket:
        for batch in netlink.chunks(_flow(n, 4 + n % 2 * 2) for n in range(flows)):
            for error in socket.batch(batch):
                if error is not None:
                    raise error


def _flow(number: int, version: int) -> bytes:
    here, there = {4: ("198.18.0.1", "198.19.0.0"), 6: ("2001:db8:1::1", "2001:db8:2::")}[version]
    ends = ip_address(here).packed, (ip_address(there) + number).packed
    out, back = _tuple(1, version, *ends, (1024, 53)), _tuple(2, version, *ends[::-1], (53, 1024))
    head = struct.pack("=BBH", AF_INET if version == 4 else AF_INET6, 0, 0)
    body = head + out + back + attribute(_TIMEOUT, struct.pack("!I", 3600))
    return netlink.message(_NEW, netlink.REQUEST | netlink.CREATE | netlink.EXCL, body)


def _tuple(kind: int, version: int, source: bytes, destination: bytes, ports: tuple[int, int]) -> bytes:
    first = {4: 1, 6: 3}[version]
    ip = attribute(first, source) + attribute(first + 1, destination)
    proto = attribute(1, bytes([_UDP])) + b"".join(attribute(k, struct.pack("!H", p)) for k, p in enumerate(ports, 2))
    return attribute(kind, attribute(1, ip, nested=True) + attribute(2, proto, nested=True), nested=True)
