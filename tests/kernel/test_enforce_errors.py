"""Errors about flows: an endpoint sends them about its own, routers and the host about any."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from calico_rkt.plugin.enforce.nft import table
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held
from tests.kernel.support import icmp_errors as errors

pytestmark = pytest.mark.kernel
BOTH = pytest.mark.parametrize("family", [4, 6])
UNREACHABLE = {4: (3, 3), 6: (1, 4)}
EXPIRED = {4: (11, 0), 6: (3, 0)}


@pytest.fixture
def world(lab):
    made = w.World(lab)
    with w.inside(made.host):
        held.ensure_base(w.nets("10.65.0.0/24", "fd65::/64"))
        table.apply_scripts([w.network("open"), w.network("mute", out=""), w.network("shut", out="", into="")])
    return made


def udp(ns, family, address=""):
    with w.inside(ns):
        made = socket.socket(w.FAMILY[family], socket.SOCK_DGRAM)
    made.settimeout(w.wait())
    made.bind((address, 0))
    return made


def flow(source, target, address):
    """A UDP flow with an answer, from one socket to the other at address; (source's port, target's port)."""
    for _ in range(4):
        source.sendto(b"ask", (address, target.getsockname()[1]))
        try:
            peer = target.recvfrom(16)[1]
        except TimeoutError:
            continue  # a first packet may be lost on a link that has just come up
        target.sendto(b"answer", peer)
        assert source.recv(16) == b"answer"
        return source.getsockname()[1], target.getsockname()[1]
    raise AssertionError("no flow")


@BOTH
def test_an_endpoint_sends_no_error_about_a_flow_of_others(world, family):
    shut, other = world.joined("shut"), world.joined("open")
    outside, host = w.OUTSIDE[family], w.HOST[family]
    with (
        udp(other.ns, family) as client,
        udp(world.outside.ns, family) as server,
        udp(world.host, family) as mine,
        errors.arriving(other.ns, family) as to_other,
        errors.arriving(world.outside.ns, family) as to_outside,
    ):
        ports = flow(client, server, outside)
        own = flow(mine, server, outside)
        for kind in (errors.TOO_BIG[family], UNREACHABLE[family]):
            about = errors.quoting(family, other.address[family], outside, ports, kind)
            back = errors.quoting(family, outside, other.address[family], ports[::-1], kind)
            errors.send(shut.ns, family, other.address[family], about)
            errors.send(shut.ns, family, outside, back)
            errors.send(shut.ns, family, host, errors.quoting(family, host, outside, own, kind))
            assert not to_other(kind)
            assert not to_outside(kind)
    told = world.lab.run(world.host, ["ip", "route", "get", outside]).stdout
    assert "mtu" not in told


@BOTH
def test_an_allowing_egress_makes_no_such_error_pass_either(world, family):
    other_open, other = world.joined("open"), world.joined("open")
    outside, kind = w.OUTSIDE[family], errors.TOO_BIG[family]
    with (
        udp(other.ns, family) as client,
        udp(world.outside.ns, family) as server,
        errors.arriving(other.ns, family) as got,
    ):
        ports = flow(client, server, outside)
        message = errors.quoting(family, other.address[family], outside, ports)
        errors.send(other_open.ns, family, other.address[family], message)
        assert not got(kind)
        errors.send(world.outside.ns, family, other.address[family], message)
        assert got(kind), "from the uplink the same error passes"


@BOTH
def test_an_endpoint_tells_its_peer_of_a_closed_port_whatever_its_egress_says(world, family):
    mute, peer = world.joined("mute"), world.joined("open")
    for source in (world.outside, peer):
        with udp(source.ns, family) as client:
            assert refused(client, mute.address[family])


def refused(client, address, port=9):
    """Whether a UDP packet to a closed port comes back as an error."""
    client.connect((address, port))
    for _ in range(3):
        try:
            client.send(b"x")
            client.recv(16)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            continue
    return False


@BOTH
def test_an_error_passes_behind_dnat_hairpin_and_masquerade(world, family):
    mute, peer, masked = world.joined("mute"), world.joined("open"), world.joined("open", ip_masq=True)
    host, ip = w.HOST[family], {4: "ip", 6: "ip6"}[family]
    to = {4: mute.address[4], 6: f"[{mute.address[6]}]"}[family]
    world.nft(
        f"add table {ip} published\nadd chain {ip} published pre {{ type nat hook prerouting priority dstnat; }}\n"
        f"add rule {ip} published pre {ip} daddr {host} udp dport 8009 dnat to {to}:9\n"
    )
    for source in (world.outside, peer):
        with udp(source.ns, family) as client:
            assert refused(client, host, 8009)
    # The masked client's port is closed by the time the answer comes: the error goes out as its flow did.
    with udp(world.outside.ns, family) as server:
        with udp(masked.ns, family) as client:
            for _ in range(3):
                client.sendto(b"ask", (w.OUTSIDE[family], server.getsockname()[1]))
                try:
                    source = server.recvfrom(16)[1]
                    break
                except TimeoutError:
                    continue
        assert source[0] == host
        assert refused(server, *source[:2])


@BOTH
def test_path_mtu_and_traceroute_work_through_a_router_in_the_middle(world, family):
    a, far = world.joined("open"), world.lab.container()
    address, router = {4: ("198.51.100.2/24", "198.51.100.1/24"), 6: ("2001:db8:f::2/64", "2001:db8:f::1/64")}[family]
    gateway = router.partition("/")[0]
    nodad = "nodad" if family == 6 else ""
    world.sh(
        world.outside.ns,
        f"ip link add down0 mtu {errors.SMALL[family]} type veth peer name eth0 mtu {errors.SMALL[family]} "
        f"netns {Path(far).name}\nip addr add {router} dev down0 {nodad}\nip link set down0 up\n"
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
    )
    world.sh(
        far,
        f"ip addr add {address} dev eth0 {nodad}\nip link set eth0 up\nip -{family} route add default via {gateway}",
    )
    target = address.partition("/")[0]
    world.sh(world.host, f"ip -{family} route add {target} via {w.OUTSIDE[family]}")
    for _ in range(20):
        if w.pings(world.lab, a.ns, family, target):
            break
    with errors.arriving(a.ns, family) as got, udp(a.ns, family) as client:
        option = {4: (socket.IPPROTO_IP, 10, 2), 6: (socket.IPPROTO_IPV6, 23, 2)}[family]  # IP_MTU_DISCOVER: DF
        client.setsockopt(*option)
        client.sendto(b"x" * 1400, (target, 9))
        assert got(errors.TOO_BIG[family]), "the router says how much fits"
        for hops in (1, 2):
            client.setsockopt(
                *{4: (socket.IPPROTO_IP, socket.IP_TTL), 6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)}[family],
                hops,
            )
            client.sendto(b"x", (target, 33434 + hops))
            assert got(EXPIRED[family]), f"hop {hops} answers"


def test_what_a_conntrack_helper_expects_is_a_flow_like_any_other(world):
    # An FTP client in the outside makes the helper expect a connection back; the mute server may not open one.
    mute = world.joined("mute")
    world.nft(
        'add table ip helped\nadd ct helper ip helped ftp { type "ftp" protocol tcp; }\n'
        "add chain ip helped pre { type filter hook prerouting priority filter; }\n"
        'add rule ip helped pre tcp dport 2121 ct helper set "ftp"\n'
    )
    with w.listener(mute.ns, 4, port=2121) as control, w.listener(world.outside.ns, 4) as data:
        client = w.dial(world.outside.ns, 4, mute.address[4], control)
        taken, _ = control.accept()
        with client, taken, w.inside(mute.ns), socket.socket(socket.AF_INET) as back:
            port = data.getsockname()[1]
            client.sendall(b"USER nobody\r\n")  # the helper looks at what follows a line's end
            taken.recv(64)
            client.sendall(f"PORT {w.OUTSIDE[4].replace('.', ',')},{port >> 8},{port & 255}\r\n".encode())
            taken.recv(64)
            back.settimeout(w.wait())
            with pytest.raises(TimeoutError):
                back.connect((w.OUTSIDE[4], port))
