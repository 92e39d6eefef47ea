"""What the table lets through, in real packets, both families."""

from __future__ import annotations

import socket

import pytest

from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.plugin.enforce.nft import table
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def world(lab):
    made = w.World(lab)
    with w.inside(made.host):
        held.ensure_base(())
    return made


def load(world, *texts):
    with w.inside(world.host):
        table.apply_scripts(texts)


def reaches(world, source, target, family):
    """The one answer of TCP, UDP and ICMP. Asked again where they differ: a new link's first packets may get lost."""
    address = target.address[family]
    for _ in range(3):
        answers = {
            w.connects(source.ns, family, address, target.ns),
            w.datagram(source.ns, family, address, target.ns) is not None,
            w.pings(world.lab, source.ns, family, address),
        }
        if len(answers) == 1:
            break
    assert len(answers) == 1, "the protocols disagree"
    return answers.pop()


@BOTH
def test_a_flow_passes_when_both_ends_allow_it(world, family):
    load(world, w.network("a"), w.network("b"))
    a, b = world.joined("a"), world.joined("b")
    assert reaches(world, a, b, family)
    assert reaches(world, b, a, family)


@BOTH
def test_allow_all_egress_does_not_skip_the_other_sides_deny_all_ingress(world, family):
    load(world, w.network("a"), w.network("closed", into=""))
    a, closed = world.joined("a"), world.joined("closed")
    assert not reaches(world, a, closed, family)


@BOTH
def test_allow_all_ingress_does_not_skip_the_other_sides_deny_all_egress(world, family):
    load(world, w.network("mute", out=""), w.network("b"))
    mute, b = world.joined("mute"), world.joined("b")
    assert not reaches(world, mute, b, family)


@BOTH
def test_replies_pass_where_the_initiators_own_ingress_denies_all(world, family):
    load(world, w.network("a", into=""), w.network("b", out=""))
    a, b = world.joined("a"), world.joined("b")
    assert reaches(world, a, b, family)
    assert not reaches(world, b, a, family)


@BOTH
def test_members_of_a_set_are_who_a_rule_is_about(world, family):
    into = "ip saddr @m4-friends return\nip6 saddr @m6-friends return"
    load(world, w.network("friends"), w.network("others"), w.network("b", into=into))
    friend, other, b = world.joined("friends"), world.joined("others"), world.joined("b")
    assert reaches(world, friend, b, family)
    assert not reaches(world, other, b, family)
    with w.inside(world.host):
        table.remove_endpoint(friend.elements("friends"))
    assert not reaches(world, friend, b, family)


@BOTH
def test_traffic_with_the_outside_passes_one_side_only(world, family):
    load(world, w.network("server", out=""), w.network("client", into=""))
    server, client = world.joined("server"), world.joined("client")
    assert reaches(world, world.outside, server, family)
    assert not reaches(world, server, world.outside, family)
    assert reaches(world, client, world.outside, family)
    assert not reaches(world, world.outside, client, family)


@BOTH
def test_an_interface_of_ours_that_no_map_knows_is_dropped_and_a_foreign_one_is_untouched(world, family):
    load(world, w.network("b"))
    unknown, foreign, foreign_too, b = (
        world.end("a"),
        world.end(prefix="cali"),
        world.end(prefix="cali"),
        world.joined("b"),
    )
    for other in (b, foreign, world.outside):
        assert not reaches(world, unknown, other, family)
        assert not reaches(world, other, unknown, family)
    assert not w.connects(unknown.ns, family, w.HOST[family], world.host)
    assert reaches(world, foreign, foreign_too, family)
    assert reaches(world, foreign, world.outside, family)
    assert w.connects(foreign.ns, family, w.HOST[family], world.host)


@BOTH
def test_a_source_that_is_not_the_endpoints_own_is_dropped(world, family):
    load(world, w.network("a"))
    a, b = world.joined("a"), world.joined("a")
    victim = world.joined("a")
    for spoofed in (victim.address[family], {4: "198.51.100.9", 6: "2001:db8:9::9"}[family]):
        bits = {4: 32, 6: 128}[family]
        world.sh(a.ns, f"ip addr add {spoofed}/{bits} dev eth0 {'nodad' if family == 6 else ''}")
        assert w.datagram(a.ns, family, b.address[family], b.ns, source=spoofed) is None
        assert w.datagram(a.ns, family, w.HOST[family], world.host, source=spoofed) is None
    assert w.datagram(a.ns, family, b.address[family], b.ns, source=a.address[family]) == a.address[family]


def test_the_source_0_0_0_0_is_refused(world):
    load(world, w.network("a", to_host=ToHost.ACCEPT))
    a = world.joined("a")
    for source, comes in ((a.address[4], True), ("0.0.0.0", False)):
        with w.listener(world.host, 4, socket.SOCK_DGRAM) as server:
            w.raw_udp4(a.ns, source, w.HOST[4], server.getsockname()[1])
            if comes:
                assert server.recv(16) == b"x"
            else:
                with pytest.raises(TimeoutError):
                    server.recv(16)


def test_a_containers_link_local_address_finds_neighbours_and_nothing_else(world):
    load(world, w.network("a", to_host=ToHost.ACCEPT))
    a = world.joined("a")
    world.sh(a.ns, f"ip neigh del {w.HOST_LINK_LOCAL} dev eth0")
    assert w.connects(a.ns, 6, w.HOST[6], world.host), "the gateway is found by asking"
    with w.inside(a.ns):
        scope = socket.if_nametoindex("eth0")
    with w.listener(world.host, 6) as server, w.inside(a.ns), socket.socket(socket.AF_INET6) as client:
        client.settimeout(w.wait())
        with pytest.raises(OSError):
            client.connect((w.HOST_LINK_LOCAL, server.getsockname()[1], 0, scope))


@BOTH
@pytest.mark.parametrize(
    ("to_host", "passes"), [(ToHost.DROP, False), (ToHost.RETURN, True), (ToHost.ACCEPT, True)], ids=str
)
def test_a_container_reaches_its_host_as_endpoint_to_host_says(world, family, to_host, passes):
    load(world, w.network("a", to_host=to_host))
    a = world.joined("a")
    host = w.End(world.host, "", w.HOST)
    assert reaches(world, a, host, family) is passes


@pytest.mark.parametrize("to_host", [ToHost.RETURN, ToHost.ACCEPT], ids=str)
def test_what_the_host_serves_itself_alone_is_no_containers(world, to_host):
    """portmap lets a host end route loopback addresses (route_localnet), for whoever connects from the host itself."""
    load(world, w.network("a", to_host=to_host))
    a = world.joined("a")
    world.sh(world.host, f"sysctl -qw net.ipv4.conf.{a.ifname}.route_localnet=1")
    with w.inside(world.host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(w.wait())
        server.bind(("0.0.0.0", 0))
        port = server.getsockname()[1]
        for address in ("127.0.0.1", "127.1.2.3"):
            w.raw_udp4(a.ns, a.address[4], address, port)
            with pytest.raises(TimeoutError):
                server.recvfrom(16)
        w.raw_udp4(a.ns, a.address[4], w.HOST[4], port)
        assert server.recvfrom(16)[1][0] == a.address[4]


@BOTH
def test_endpoint_to_host_opens_nothing_that_egress_denies(world, family):
    load(world, w.network("mute", out="", to_host=ToHost.ACCEPT))
    mute = world.joined("mute")
    assert not reaches(world, mute, w.End(world.host, "", w.HOST), family)


@BOTH
def test_the_host_reaches_its_own_containers_whatever_they_say(world, family):
    load(world, w.network("closed", out="", into=""))
    closed = world.joined("closed")
    assert reaches(world, w.End(world.host, "", w.HOST), closed, family)


@BOTH
@pytest.mark.parametrize("to_host", [ToHost.RETURN, ToHost.ACCEPT])
def test_the_hosts_own_firewall_may_still_drop_what_we_accept(world, family, to_host):
    load(world, w.network("a", to_host=to_host))
    a, b = world.joined("a"), world.joined("a")
    assert reaches(world, a, b, family)
    assert w.connects(a.ns, family, w.HOST[family], world.host)
    world.nft(
        "add table inet own\nadd chain inet own input { type filter hook input priority 10; }\n"
        "add chain inet own forward { type filter hook forward priority 10; }\n"
        'add rule inet own input iifname "crk*" meta l4proto tcp drop\n'
        'add rule inet own forward oifname "crk*" drop\n'
    )
    assert not w.connects(a.ns, family, w.HOST[family], world.host)
    assert not reaches(world, a, b, family)


@BOTH
def test_apply_gives_endpoints_that_exist_another_endpoint_to_host(world, family):
    load(world, w.network("a"))
    a = world.joined("a")
    assert not w.connects(a.ns, family, w.HOST[family], world.host)
    load(world, w.network("a", to_host=ToHost.ACCEPT))
    assert w.connects(a.ns, family, w.HOST[family], world.host)


@BOTH
def test_masquerade_spares_every_range_and_every_endpoint_that_did_not_ask(world, family):
    load(world, w.network("a"))
    plain, masked = world.joined("a"), world.joined("a", ip_masq=True)

    def seen(end):
        return w.datagram(end.ns, family, w.OUTSIDE[family], world.outside.ns)

    assert seen(plain) == plain.address[family]
    assert seen(masked) == w.HOST[family]
    assert w.datagram(masked.ns, family, plain.address[family], plain.ns) == masked.address[family]
    with w.inside(world.host):
        table.set_ranges(w.nets("192.0.2.0/24", "192.0.0.0/16", "2001:db8::/64", "10.65.0.0/24", "fd65::/64"))
    assert seen(masked) == masked.address[family]
    with w.inside(world.host):
        table.set_ranges(w.nets("10.65.0.0/24", "fd65::/64"))
    assert seen(masked) == w.HOST[family]
