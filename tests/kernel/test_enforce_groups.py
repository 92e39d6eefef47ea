"""A network is a device group: what the host end's group decides, and what nobody can do with it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.link import host_ends, netlink, state
from calico_rkt.plugin.link.groups import group_of
from calico_rkt.plugin.link.neighbours import neighbour, neighbours
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def world(lab):
    made = w.World(lab)
    with w.inside(made.host):
        held.ensure_base(())
        table.apply_scripts((w.network("a"), w.network("b"), w.network("shut", out="", into="")))
    return made


def regroup(world, end, group):
    world.sh(world.host, f"ip link set dev {end.ifname} group {group}")


@BOTH
@pytest.mark.parametrize("group", [0, 7, group_of("b"), 1 << 30], ids=["none", "somebody's", "b's", "a removal's"])
def test_a_host_end_in_another_group_than_its_networks_is_closed_and_opens_when_it_is_back(world, family, group):
    a, b = world.joined("a"), world.joined("b")
    ends = ((a, b.address[family], b), (b, a.address[family], a), (a, w.OUTSIDE[family], world.outside))
    for source, address, target in ends:
        assert w.connects(source.ns, family, address, target.ns)
    with w.listener(world.outside.ns, family) as server:
        flow = w.dial(a.ns, family, w.OUTSIDE[family], server)
        taken, _ = server.accept()
    with flow, taken:
        regroup(world, a, group)
        for source, address, target in ends:
            assert not w.connects(source.ns, family, address, target.ns)
        for sender, receiver in ((flow, taken), (taken, flow)):
            receiver.settimeout(w.wait())
            sender.sendall(b"x")
            with pytest.raises(TimeoutError):
                receiver.recv(1)
        regroup(world, a, group_of("a"))
        for receiver in (taken, flow):
            receiver.settimeout(10)
            assert receiver.recv(1) == b"x", "the flow goes on, by what TCP sends again"
    for source, address, target in ends:
        assert w.connects(source.ns, family, address, target.ns)


@BOTH
def test_a_host_end_that_the_table_does_not_know_is_closed_in_the_right_group_too(world, family):
    a, unknown = world.joined("a"), world.end("a")
    assert not w.connects(a.ns, family, unknown.address[family], unknown.ns)
    assert not w.connects(unknown.ns, family, w.OUTSIDE[family], world.outside.ns)
    assert not w.connects(world.outside.ns, family, unknown.address[family], unknown.ns)


@BOTH
def test_a_container_that_changes_its_own_ends_group_changes_nothing(world, family):
    shut, a = world.joined("shut"), world.joined("a")
    for group in (group_of("a"), 0, 7):
        for end in (shut, a):
            world.sh(end.ns, f"ip link set dev eth0 group {group}")
        assert not w.connects(shut.ns, family, w.OUTSIDE[family], world.outside.ns)
        assert not w.connects(a.ns, family, shut.address[family], shut.ns)
        assert w.connects(a.ns, family, w.OUTSIDE[family], world.outside.ns)


@BOTH
def test_a_link_that_is_not_ours_gains_nothing_by_a_networks_group(world, family):
    foreign, shut = world.end(prefix="cali"), world.joined("shut")
    regroup(world, foreign, group_of("a"))
    assert not w.connects(foreign.ns, family, shut.address[family], shut.ns)
    regroup(world, foreign, group_of("shut"))
    assert w.connects(foreign.ns, family, w.OUTSIDE[family], world.outside.ns), "no policy of ours is about it"


def group_in(world):
    """By interface, as the kernel has it."""
    with w.inside(world.host), netlink.Socket() as host:
        return {name: group for name, _, group in state.groups(host)}


_PAIR = """
from ipaddress import ip_address
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.model import Key
with pair.open_netns({ns!r}) as netns:
    pair.create_pair(netns, key=Key("a", "c1", "eth0"), nonce="0123456789abcdef", host_ifname="crk000000000001",
                     ifname="eth0", addresses=[ip_address("10.1.0.2")], group={group})
"""


def test_a_pair_is_born_in_its_group_and_the_containers_end_in_none(lab):
    ns = lab.container()
    lab.python(lab.host, _PAIR.format(ns=ns, group=group_of("a")))
    with w.inside(lab.host), netlink.Socket() as host:
        end = state.interface(host, "crk000000000001")
    assert (end.group, end.up, end.nonce) == (group_of("a"), False, "0123456789abcdef")
    with w.inside(ns), netlink.Socket() as container:
        assert state.interface(container, "eth0").group == 0


def recorded(end, n, network="a"):
    return f"{n:016x}", end.ifname, group_of(network)


def test_host_ends_are_put_into_their_groups_by_their_nonce_and_nothing_else_is(world):
    ends = [world.end() for _ in range(4)]
    world.sh(world.host, "\n".join(f"ip link set {e.ifname} alias 'calico-rkt {n:016x} x'" for n, e in enumerate(ends)))
    world.sh(world.host, f"ip link set {ends[1].ifname} down\nip link set {ends[1].ifname} name renamed0")
    regroup(world, ends[2], 7)
    records = [recorded(e, n, "b" if n == 2 else "a") for n, e in enumerate(ends[:3])]
    with w.inside(world.host):
        assert host_ends.put_into_groups(records) == ()
    a, b = group_of("a"), group_of("b")
    found = {ends[0].ifname: a, "renamed0": a, ends[2].ifname: b, ends[3].ifname: 0, "up0": 0}
    assert group_in(world) == found
    with w.inside(world.host):
        assert host_ends.put_into_groups([recorded(ends[3], 99)]) == (), "its nonce is another's"
    assert group_in(world) == found


def test_an_interface_that_is_not_ours_in_a_networks_group_is_told(world):
    end = world.joined("a")
    with w.inside(world.host):
        assert host_ends.foreign_in_group(group_of("a")) == ""
    world.sh(world.host, f"ip link set up0 group {group_of('a')}")
    with w.inside(world.host):
        assert host_ends.foreign_in_group(group_of("a")) == "up0"
        assert host_ends.foreign_in_group(group_of("b")) == ""
    assert w.connects(end.ns, 4, w.OUTSIDE[4], world.outside.ns)


def test_a_container_is_asked_for_one_neighbour_as_the_kernel_has_it(world):
    end = world.joined("a")
    with w.inside(end.ns), netlink.Socket() as container:
        index = state.interface(container, "eth0").index
        every = {(n.index, n.address): n for n in neighbours(container)}
        for address in map(ip_address, ("169.254.1.1", w.HOST_LINK_LOCAL)):
            found = neighbour(container, index, address)
            assert found == every[index, address]
            assert (found.mac, found.permanent) == (w.GATEWAY_MAC, True)
        assert neighbour(container, index, ip_address("169.254.1.2")) is None
        assert neighbour(container, index, ip_address("fe80::2")) is None
