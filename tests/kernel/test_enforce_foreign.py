"""Addresses of endpoints come from their own interfaces: what others send with them goes nowhere."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import pytest

from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.plugin.enforce.nft import table
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel
BOTH = pytest.mark.parametrize("family", [4, 6])
BITS = {4: 32, 6: 128}
NODAD = {4: "", 6: "nodad"}
IP = {4: "ip", 6: "ip6"}
_PATIENCE = 20
"""Seconds for what has to happen; a first packet may be lost while a busy machine looks for a neighbour."""


@pytest.fixture
def world(lab):
    made = w.World(lab)
    made.sh(made.host, "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.up0.rp_filter=0")
    with w.inside(made.host):
        held.ensure_base(w.nets("10.65.0.0/24", "fd65::/64"))
        table.apply_scripts([w.network("open", to_host=ToHost.ACCEPT), w.network("friends")])
    return made


@BOTH
def test_the_outside_sends_nothing_with_an_endpoints_address(world, family):
    a, b = world.joined("open"), world.joined("open")
    world.sh(world.outside.ns, f"ip addr add {a.address[family]}/{BITS[family]} dev up1 {NODAD[family]}")
    for target, ns in ((b.address[family], b.ns), (w.HOST[family], world.host)):
        assert w.datagram(world.outside.ns, family, target, ns, source=a.address[family]) is None
    assert w.datagram(a.ns, family, b.address[family], b.ns) == a.address[family]


@BOTH
def test_what_the_outside_forges_makes_no_flow_of_the_endpoint_established(world, family):
    mute, far = world.joined("open"), w.End(world.lab.container(), "far0", {})
    with w.inside(world.host):
        table.apply_scripts([w.network("open", out="", into="")])
    address = {4: "198.51.100.2", 6: "2001:db8:f::2"}[family]
    router = {4: "198.51.100.1/24", 6: "2001:db8:f::1/64"}[family]
    world.sh(
        world.host,
        f"ip link add far0 type veth peer name eth0 netns {Path(far.ns).name}\n"
        f"ip addr add {router} dev far0 {NODAD[family]}\nip link set far0 up",
    )
    bits = {4: 24, 6: 64}[family]
    world.sh(
        far.ns,
        f"ip addr add {address}/{bits} dev eth0 {NODAD[family]}\nip link set eth0 up\n"
        f"ip -{family} route add default via {router.partition('/')[0]}",
    )
    assert any(w.pings(world.lab, world.host, family, address) for _ in range(20))
    world.sh(world.outside.ns, f"ip addr add {mute.address[family]}/{BITS[family]} dev up1 {NODAD[family]}")
    with bound(far.ns, family, 7007) as peer, bound(world.outside.ns, family, 9009, mute.address[family]) as forger:
        forger.sendto(b"x", (address, 7007))
        with pytest.raises(TimeoutError):
            peer.recv(16)
        # The two of them open a flow as though it were the endpoint's; its answers must not come in.
        with bound(mute.ns, family, 9009) as victim:
            peer.sendto(b"in", (mute.address[family], 9009))
            with pytest.raises(TimeoutError):
                victim.recv(16)


def bound(ns, family, port, address=""):
    with w.inside(ns):
        made = socket.socket(w.FAMILY[family], socket.SOCK_DGRAM)
    made.settimeout(w.wait())
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    return made


@BOTH
def test_an_address_of_a_range_that_nobody_has_a_way_to_sends_nothing(world, family):
    b = world.joined("open")
    nobody = {4: "10.65.0.99", 6: "fd65::99"}[family]
    world.sh(world.outside.ns, f"ip addr add {nobody}/{BITS[family]} dev up1 {NODAD[family]}")
    assert w.datagram(world.outside.ns, family, b.address[family], b.ns, source=nobody) is None
    # A neighbour host has it: its route says so.
    world.sh(world.host, f"ip -{family} route add {nobody} via {w.OUTSIDE[family]}")
    assert w.datagram(world.outside.ns, family, b.address[family], b.ns, source=nobody) == nobody


@BOTH
def test_published_ports_and_hairpin_work_as_before(world, family):
    server, client, masked = world.joined("open"), world.joined("open"), world.joined("open", ip_masq=True)
    ip, host = IP[family], w.HOST[family]
    to = {4: server.address[4], 6: f"[{server.address[6]}]"}[family]
    with w.listener(server.ns, family) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(_PATIENCE)
        world.nft(
            f"add table {ip} published\nadd chain {ip} published pre {{ type nat hook prerouting priority dstnat; }}\n"
            f"add rule {ip} published pre {ip} daddr {host} tcp dport 8008 dnat to {to}:{port}\n"
            f"add chain {ip} published post {{ type nat hook postrouting priority srcnat - 1; }}\n"
            f"add rule {ip} published post {ip} saddr {server.address[family]} "
            f"{ip} daddr {server.address[family]} masquerade\n"
        )
        for end in (world.outside, client, masked, server):
            with socket_to(end.ns, family, host, 8008):
                listening.accept()[0].close()


@contextlib.contextmanager
def socket_to(ns, family, address, port):
    with w.inside(ns):
        made = socket.socket(w.FAMILY[family], socket.SOCK_STREAM)
    with made:
        made.settimeout(_PATIENCE)
        made.connect((address, port))
        yield made


@BOTH
def test_a_second_interface_of_another_plugin_talks_with_its_own_address_only(world, family):
    a, b = world.joined("open"), world.joined("open")
    bridge, second = {4: ("10.88.0.1/24", "10.88.0.2/24"), 6: ("fd88::1/64", "fd88::2/64")}[family]
    world.sh(
        world.host,
        f"ip link add br0 type bridge\nip addr add {bridge} dev br0 {NODAD[family]}\nip link set br0 up\n"
        f"ip link add port0 master br0 type veth peer name net1 netns {Path(a.ns).name}\nip link set port0 up",
    )
    world.sh(a.ns, f"ip addr add {second} dev net1 {NODAD[family]}\nip link set net1 up")
    own, host = second.partition("/")[0], bridge.partition("/")[0]
    assert any(w.pings(world.lab, a.ns, family, host) for _ in range(20)), "the bridge answers no neighbour"
    for on in bridged(world):
        assert w.connects(a.ns, family, host, world.host), on
        assert w.datagram(a.ns, family, host, world.host, source=own) == own, on
        assert w.datagram(a.ns, family, host, world.host, source=a.address[family]) is None, on
        assert w.datagram(a.ns, family, b.address[family], b.ns) == a.address[family], on


def bridged(world):
    """Bridge netfilter off, then on where this kernel has it."""
    yield "off"
    switches = " ".join(f"net.bridge.bridge-nf-call-{t}=1" for t in ("iptables", "ip6tables"))
    if world.lab.run(world.host, ["sh", "-ec", f"sysctl -qw {switches}"]).returncode == 0:
        yield "on"


@BOTH
def test_containers_of_a_bridge_and_endpoints_reach_each_other_with_bridge_netfilter_on(world, family):
    a, one, two = world.joined("open"), world.lab.container(), world.lab.container()
    bridge, addresses, bits = {
        4: ("10.88.0.1", ("10.88.0.2", "10.88.0.3"), 24),
        6: ("fd88::1", ("fd88::2", "fd88::3"), 64),
    }[family]
    world.sh(
        world.host,
        f"ip link add br0 type bridge\nip addr add {bridge}/{bits} dev br0 {NODAD[family]}\nip link set br0 up",
    )
    for ns, address in zip((one, two), addresses, strict=True):
        port = f"p{address[-1]}"
        world.sh(
            world.host,
            f"ip link add {port} master br0 type veth peer name eth0 netns {Path(ns).name}\nip link set {port} up",
        )
        world.sh(
            ns,
            f"ip addr add {address}/{bits} dev eth0 {NODAD[family]}\nip link set eth0 up\n"
            f"ip -{family} route add default via {bridge}",
        )
    assert any(w.pings(world.lab, one, family, addresses[1]) for _ in range(20))
    for on in bridged(world):
        assert w.connects(one, family, addresses[1], two), on
        assert w.connects(a.ns, family, addresses[0], one), on
        assert w.connects(one, family, a.address[family], a.ns), on


@BOTH
def test_a_transparent_proxy_on_the_host_speaks_with_its_clients_address(world, family):
    client, server = world.joined("open"), world.joined("open")
    transparent = {4: (socket.IPPROTO_IP, 19), 6: (socket.IPPROTO_IPV6, 75)}[family]
    ip = IP[family]
    world.sh(
        world.host,
        f"ip -{family} rule add fwmark 7 lookup 107\nip -{family} route add local default dev lo table 107",
    )
    with w.inside(world.host):
        proxy, upstream = (socket.socket(w.FAMILY[family], socket.SOCK_STREAM) for _ in range(2))
    with proxy, upstream, w.listener(server.ns, family) as listening:
        for one in (proxy, upstream):
            one.setsockopt(*transparent, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.settimeout(_PATIENCE)
        proxy.bind(("", 3128))
        proxy.listen(4)
        port = listening.getsockname()[1]
        world.nft(
            f"add table {ip} tproxied\nadd chain {ip} tproxied pre {{ type filter hook prerouting priority mangle; }}\n"
            f"add rule {ip} tproxied pre socket transparent 1 meta mark set 7 accept\n"
            f'add rule {ip} tproxied pre iifname "{client.ifname}" tcp dport {port} '
            "tproxy to :3128 meta mark set 7 accept\n"
        )
        with socket_to(client.ns, family, server.address[family], port) as asking:
            taken, peer = proxy.accept()
            with taken:
                assert peer[0] == client.address[family]
                upstream.bind((client.address[family], 0))
                upstream.connect((server.address[family], port))
                served, seen = listening.accept()
                with served:
                    assert seen[0] == client.address[family]
                    served.sendall(b"page")
                    taken.sendall(upstream.recv(16))
                    assert asking.recv(16) == b"page"


@BOTH
def test_an_interface_that_a_container_makes_on_the_host_speaks_for_no_endpoint(world, family):
    # With CAP_NET_ADMIN and no user namespace of its own it can: one called as ours are, one called otherwise.
    mute, b = world.joined("open"), world.joined("open")
    with w.inside(world.host):
        table.apply_scripts([w.network("open", out="", into="return")])
    host = Path(world.host).name
    for number, name in enumerate(("crkdeadbeef0000", "evil0")):
        world.sh(
            mute.ns,
            f"ip link add own{number} type veth peer name {name} netns {host}\nip link set own{number} up",
        )
        world.sh(world.host, f"sysctl -qw net.ipv6.conf.{name}.accept_dad=0\nip link set {name} up")
        mac = json.loads(world.lab.run(world.host, ["ip", "-j", "link", "show", name]).stdout)[0]["address"]
        gateway = {4: "169.254.9.9", 6: "fe80::9"}[family]
        world.sh(
            mute.ns,
            f"ip neigh replace {gateway} dev own{number} lladdr {mac} nud permanent\n"
            + (f"ip route replace {gateway} dev own{number} scope link\n" if family == 4 else "")
            + f"ip -{family} route replace {b.address[family]} via {gateway} dev own{number}",
        )
        assert w.datagram(mute.ns, family, b.address[family], b.ns, source=mute.address[family]) is None, name
        world.sh(mute.ns, f"ip link del own{number}")


@BOTH
def test_a_host_end_that_was_renamed_lets_nothing_of_its_endpoint_pass(world, family):
    a, b = world.joined("open"), world.joined("open")
    assert w.datagram(b.ns, family, a.address[family], a.ns) == b.address[family]
    world.sh(world.host, f"ip link set {a.ifname} down\nip link set {a.ifname} name renamed0\nip link set renamed0 up")
    bits = BITS[family]
    world.sh(world.host, f"ip -{family} route replace {a.address[family]}/{bits} dev renamed0")
    for sender in (b, world.outside):
        assert w.datagram(sender.ns, family, a.address[family], a.ns) is None
    for target, ns in ((b.address[family], b.ns), (w.OUTSIDE[family], world.outside.ns), (w.HOST[family], world.host)):
        assert w.datagram(a.ns, family, target, ns) is None
