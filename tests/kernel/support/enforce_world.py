"""A Lab in; a host with an outside, endpoints as the plugin lays them, and real packets between them, out.

Sockets are opened by this process inside a namespace and stay there, so that a probe starts no program.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, to_host_script
from calico_rkt.plugin.link.groups import group_of
from tests.patience import slowness

DIGEST = "sha256:" + "ab" * 32
GATEWAY_MAC = "ee:ee:ee:ee:ee:ee"
HOST_LINK_LOCAL = "fe80::ecee:eeff:feee:eeee"
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
OUTSIDE = {4: "192.0.2.2", 6: "2001:db8::2"}
HOST = {4: "192.0.2.1", 6: "2001:db8::1"}

_LIBC = ctypes.CDLL(None, use_errno=True)
_PORTS = itertools.count(20000)


def wait():
    """Seconds after which what has not come does not come."""
    return 0.3 * slowness()


@contextlib.contextmanager
def inside(ns):
    """This thread inside a namespace, given by name or path."""
    path = ns if "/" in ns else f"/run/netns/{ns}"
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if _LIBC.setns(there, 0):
            raise OSError(ctypes.get_errno(), f"setns {path}")
        yield
    finally:
        if _LIBC.setns(back, 0):
            os._exit(99)  # a test runner in the wrong namespace must not go on
        os.close(back)
        os.close(there)


def network(network_id, out="return", into="return", to_host=ToHost.DROP):
    """A network's chains in the shape that the nftables target writes; out and into are rules, one a line."""
    table = "inet calico_rkt"
    lines = [f"add table {table}"]
    lines += [f"add set {table} m{v}-{network_id} {{ type ipv{v}_addr; }}" for v in (4, 6)]
    for chain, rules in (("out", out), ("in", into)):
        lines += [f"add chain {table} {chain}-{network_id}"]
        lines += [f"flush chain {table} {chain}-{network_id}"]
        lines += [f"add rule {table} {chain}-{network_id} {r.strip()}" for r in rules.splitlines() if r.strip()]
        host = f" host={to_host.value}" if chain == "out" else ""
        lines += [f'add rule {table} {chain}-{network_id} drop comment "{DIGEST}{host}"']
    return "\n".join(lines) + "\n" + to_host_script(network_id, to_host)


@dataclass(frozen=True)
class End:
    """A container: its namespace, the host's interface to it, and its addresses by family."""

    ns: str
    ifname: str
    address: dict[int, str]

    def elements(self, network_id, **more):
        return EndpointElements(self.ifname, tuple(ip_address(a) for a in self.address.values()), network_id, **more)


class World:
    """The host of a lab with forwarding on and an `outside` behind its interface up0."""

    def __init__(self, lab):
        self.lab = lab
        self.host = lab.host
        self._count = itertools.count(1)
        self.outside = End(lab.container(), "up0", OUTSIDE)
        script = "\n".join(
            [
                f"ip link add up0 type veth peer name up1 netns {Path(self.outside.ns).name}",
                *(f"sysctl -qw net.ipv6.conf.{k}.accept_dad=0" for k in ("all", "default", "up0")),
                "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
                *(f"ip addr add {a}/{n} dev up0" for a, n in ((HOST[4], 24), (HOST[6], 64))),
                "ip link set up0 up",
            ]
        )
        self.sh(self.host, script)
        self.sh(
            self.outside.ns,
            f"sysctl -qw net.ipv6.conf.up1.accept_dad=0\nip addr add {OUTSIDE[4]}/24 dev up1\n"
            f"ip addr add {OUTSIDE[6]}/64 dev up1 nodad\nip link set up1 up\n"
            f"ip route add default via {HOST[4]}\nip -6 route add default via {HOST[6]}",
        )

        # A new link takes up to a second until it answers neighbours.
        assert any(pings(lab, self.host, 6, OUTSIDE[6]) for _ in range(20)), "the outside does not come up"

    def sh(self, ns, script):
        self.lab.run(ns, ["sh", "-ec", script], check=True)

    def nft(self, script):
        """A change by somebody else, with the program."""
        self.lab.run(self.host, ["nft", "-f", "-"], script, check=True)

    def joined(self, network_id, **more):
        """A container whose endpoint is in the table, as one of this network."""
        end = self.end(network_id)
        with inside(self.host):
            table.add_endpoint(end.elements(network_id, **more))
        return end

    def end(self, network_id="", prefix="crk"):
        """A container linked Calico's way, its host end in the network's group; nothing said to nftables."""
        n = next(self._count)
        ns = self.lab.container()
        ifname = f"{prefix}{n:012x}" if prefix == "crk" else f"{prefix}{n}"
        address = {4: f"10.65.0.{n}", 6: f"fd65::{n:x}"}
        group = group_of(network_id) if network_id else 0
        self.sh(
            self.host,
            f"ip link add {ifname} group {group} address {GATEWAY_MAC} type veth peer name eth0 netns {Path(ns).name}\n"
            f"sysctl -qw net.ipv6.conf.{ifname}.accept_dad=0\nip link set {ifname} up\n"
            f"ip route add {address[4]}/32 dev {ifname}\nip -6 route add {address[6]}/128 dev {ifname}",
        )
        self.sh(
            ns,
            f"sysctl -qw net.ipv6.conf.eth0.accept_dad=0\nip addr add {address[4]}/32 dev eth0\n"
            f"ip addr add {address[6]}/128 dev eth0 nodad\nip link set eth0 up\n"
            f"ip neigh add 169.254.1.1 dev eth0 lladdr {GATEWAY_MAC} nud permanent\n"
            "ip route add 169.254.1.1 dev eth0 scope link\nip route add default via 169.254.1.1\n"
            f"ip neigh add {HOST_LINK_LOCAL} dev eth0 lladdr {GATEWAY_MAC} nud permanent\n"
            f"ip -6 route add default via {HOST_LINK_LOCAL} dev eth0",
        )
        self.has_queue(ns, "eth0")
        self.has_queue(self.host, ifname)
        return End(ns, ifname, address)

    def has_queue(self, ns, ifname):
        """Wait for it: a link that came up sends once a worker of the kernel (linkwatch) ran; soon, not at once."""
        up = f"ip -br link show {ifname} | grep -q ' UP '"
        self.sh(ns, f"n=0; until {up}; do n=$((n + 1)); [ $n -lt 1000 ]; sleep 0.01; done")


def listener(ns, family, kind=socket.SOCK_STREAM, port=None):
    """A socket inside ns that takes every address; its port is new unless given."""
    with inside(ns):
        made = socket.socket(FAMILY[family], kind)
    made.settimeout(wait() if kind == socket.SOCK_STREAM else wait() / 2)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", port or next(_PORTS)))
    if kind == socket.SOCK_STREAM:
        made.listen(8)
    return made


def connects(ns, family, address, target_ns):
    """True when a TCP connection from ns reaches address, behind which target_ns listens, and data comes back."""
    with listener(target_ns, family) as server:
        try:
            with dial(ns, family, address, server) as client:
                taken, _ = server.accept()
                with taken:
                    taken.settimeout(wait())
                    client.sendall(b"ping")
                    taken.sendall(taken.recv(4))
                    return client.recv(4) == b"ping"
        except OSError:
            return False


def dial(ns, family, address, server):
    """A TCP connection from ns to the server's port at address."""
    with inside(ns):
        client = socket.socket(FAMILY[family], socket.SOCK_STREAM)
    client.settimeout(wait())
    try:
        client.connect((address, server.getsockname()[1]))
    except OSError:
        client.close()
        raise
    return client


def datagram(ns, family, address, target_ns, source=None):
    """The address from which target_ns gets a UDP packet that ns sends to address; None when none comes."""
    with listener(target_ns, family, socket.SOCK_DGRAM) as server:
        with inside(ns):
            client = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
        with client:
            if source:
                client.bind((source, 0))
            for _ in range(3):  # one may be lost while a busy machine looks for a neighbour
                with contextlib.suppress(OSError):
                    client.sendto(b"x", (address, server.getsockname()[1]))
                    return server.recvfrom(16)[1][0]
            return None


def pings(lab, ns, family, address):
    """True when an echo request from ns is answered."""
    return lab.run(ns, ["ping", f"-{family}", "-c1", f"-W{wait():.1f}", "-q", address]).returncode == 0


def raw_udp4(ns, source, destination, port):
    """Put a UDP packet with any IPv4 source on eth0 of ns, below its IP stack; no UDP checksum, as IPv4 allows."""
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 29, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination)
    )
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    with inside(ns):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    with sender:
        packet = header + struct.pack("!HHHH", 9, port, 9, 0) + b"x"
        sender.sendto(packet, ("eth0", 0x0800, 0, 0, bytes.fromhex(GATEWAY_MAC.replace(":", ""))))


def nets(*texts):
    return tuple(ip_network(t) for t in texts)
