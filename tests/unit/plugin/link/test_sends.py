"""Claims about what an attach sends: the bytes of each batch are those of an encoding anew, whatever came before."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from calico_rkt.plugin.enforce.nft import messages as nft
from calico_rkt.plugin.enforce.nft.elements import EndpointElements
from calico_rkt.plugin.link import messages, netlink, sends, state
from calico_rkt.plugin.link.numbered import STEP, Messages, numbered

FAMILIES = [(4,), (6,), (4, 6), (6, 4), (4, 4, 6)]
ROUTES = tuple(map(ip_network, ("10.1.0.0/16", "fd00::/64", "192.0.2.1/32")))
TURNS = range(4)  # encoded, a shape made, a shape used


def drawn(random, versions):
    return [ip_address(random.randbytes(4 if v == 4 else 16)) for v in versions]


def anew(first, changes, questions=()):
    asked = [netlink.message(kind, netlink.REQUEST, body) for kind, body in questions]
    found = Messages(b"".join([changes, *asked]), len(asked), 0 if asked else 1)
    data, count = numbered(found, first)
    return data, count, len(asked)


@pytest.mark.parametrize("versions", FAMILIES)
def test_both_ends_of_a_pair_are_the_same_bytes_as_encoded_anew(versions):
    random = Random(1)
    for turn in TURNS:
        first, addresses, index = STEP * (turn + 1), drawn(random, versions), random.randrange(1 << 31)
        mac, ways = random.randbytes(6).hex(":"), drawn(random, versions[:1])
        inside = messages.inside(index, addresses, ROUTES)
        assert sends.inside(index, addresses, ROUTES).numbered(first) == anew(first, inside)
        outside, asked = messages.outside(index, mac, addresses), [*map(state.asked_way, [*addresses, *ways])]
        found = sends.outside(index, mac, addresses, [*addresses, *ways]).numbered(first)
        assert found == anew(first, outside, asked)


@pytest.mark.parametrize("table", [0, 2050])
def test_a_container_s_second_network_is_the_same_bytes_as_encoded_anew(table):
    for index in TURNS:
        given = (index + 2, [ip_address("10.1.0.7")], ROUTES, 2050 + index, messages.GATEWAYS, table)
        assert sends.inside(*given).numbered(STEP) == anew(STEP, messages.inside(*given))


@pytest.mark.parametrize("gateway", ["169.254.1.1", "10.1.0.1", "10.1.0.2"])
def test_other_gateways_are_another_shape(gateway):
    ways = messages.GATEWAYS | {4: ip_address(gateway)}
    for index in TURNS:
        given = (index + 2, [ip_address("10.1.0.7")], (), 0, ways)
        assert sends.inside(*given).numbered(STEP) == anew(STEP, messages.inside(*given))
        assert ways[4].packed in messages.inside(*given)


@pytest.mark.parametrize("versions", FAMILIES)
def test_what_is_looked_up_is_the_same_bytes_as_encoded_anew(versions):
    random = Random(2)
    for _ in TURNS:
        name, addresses = f"crk{random.randbytes(6).hex()}", drawn(random, versions)
        asked = [state.asked_interface(name), *map(state.asked_way, addresses)]
        assert sends.look(name, addresses).numbered(STEP) == anew(STEP, b"", asked)


def test_a_pair_of_any_names_is_the_same_bytes_as_encoded_anew():
    random = Random(2)
    for name, ifname in (("crk0123456789ab", "eth0"), ("crk0123456789ab", "net1"), ("cali0123456789a", "eth0")) * 3:
        mac, fd, mtu = random.randbytes(6), random.randrange(1000), random.randrange(68, 65536)
        group, alias = random.randrange(1 << 30), b"calico-rkt aa eth0 web c" + b"1" * random.randrange(1, 3)
        numbers = [struct.pack("=I", n) for n in (fd, mtu, group)]
        made = messages.pair(name.encode(), ifname, mac, *numbers, alias)
        found = sends.pair(name, ifname, fd, mac.hex(":"), mtu, alias, group).numbered(STEP)
        assert found == anew(STEP, made, [state.asked_interface(name)])


def by_set(kind, flags, found):
    sets = {}
    for name, key in found:
        value = netlink.attribute(1, netlink.attribute(1, netlink.attribute(1, key), nested=True), nested=True)
        sets[name] = sets.get(name, b"") + value
    for name, items in sets.items():
        place = netlink.attribute(1, b"calico_rkt\0") + netlink.attribute(2, name.encode() + b"\0")
        body = b"\1\0\0\0" + place + netlink.attribute(3, items, nested=True)
        yield netlink.message(kind, flags, body)


@pytest.mark.parametrize("generation", [None, 7, 0xFFFFFFFF])
@pytest.mark.parametrize("ip_masq", [False, True])
@pytest.mark.parametrize("versions", FAMILIES)
def test_elements_are_the_same_bytes_as_encoded_anew(versions, ip_masq, generation):
    random = Random(3)
    for network in ("web", "web", "db", "web", "www", "db", "db", "m4-www"):
        name = f"crk{random.randbytes(6).hex()}"
        found = nft.elements(EndpointElements(name, tuple(drawn(random, versions)), network, ip_masq))
        for encode, kind, flags in ((nft.adding, nft._NEW_ELEMENT, 0x401), (nft.deleting, nft._DELETE_ELEMENT, 1)):
            whole = b"".join([nft.begin(generation), *by_set(kind, flags, found), nft.end()])
            data, count = numbered(Messages(whole, 1, 2), STEP)
            assert encode(found, generation).numbered(STEP) == (data, count, 1)
