"""Claims about batches that are encoded once: the bytes are those of an encoding anew."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

import pytest

from calico_rkt.plugin.enforce.nft import messages as nft
from calico_rkt.plugin.enforce.nft.elements import EndpointElements
from calico_rkt.plugin.link import messages
from calico_rkt.plugin.link.shapes import Shape, Shapes

FAMILIES = [(4,), (6,), (4, 6), (6, 4), (4, 4, 6)]
ROUTES = tuple(map(ip_network, ("10.1.0.0/16", "fd00::/64", "192.0.2.1/32")))
TURNS = range(4)  # encoded, a shape made, a shape used


def drawn(random, versions):
    return [ip_address(random.randbytes(4 if v == 4 else 16)) for v in versions]


@pytest.mark.parametrize("versions", FAMILIES)
def test_both_ends_of_a_pair_are_the_same_bytes_as_encoded_anew(versions):
    random = Random(1)
    for _ in TURNS:
        addresses, index = drawn(random, versions), random.randrange(1 << 31)
        mac = random.randbytes(6).hex(":")
        anew = messages._inside(index, addresses, ROUTES, 0, messages.GATEWAYS, 0)
        assert messages.inside(index, addresses, ROUTES) == anew
        assert messages.outside(index, mac, addresses) == messages._outside(index, mac, addresses)


@pytest.mark.parametrize("gateway", ["169.254.1.1", "10.1.0.1", "10.1.0.2"])
def test_other_gateways_are_another_shape(gateway):
    ways = messages.GATEWAYS | {4: ip_address(gateway)}
    for index in TURNS:
        found = messages.inside(index + 2, [ip_address("10.1.0.7")], (), gateways=ways)
        assert found == messages._inside(index + 2, [ip_address("10.1.0.7")], (), 0, ways, 0)
        assert ways[4].packed in found


def test_a_pair_of_any_names_is_the_same_bytes_as_encoded_anew():
    random = Random(2)
    for name, ifname in (("crk0123456789ab", "eth0"), ("crk0123456789ab", "net1"), ("cali0123456789a", "eth0")) * 3:
        mac, fd, mtu = random.randbytes(6), random.randrange(1000), random.randrange(68, 65536)
        group = random.randrange(1 << 30)
        numbers = [n.to_bytes(4, "little") for n in (fd, mtu, group)]
        found = messages.pair(name, ifname, fd, mac.hex(":"), mtu, "calico-rkt aa eth0 web c1", group)
        assert found.startswith(messages._pair(name.encode(), ifname, mac, *numbers))


@pytest.mark.parametrize("ip_masq", [False, True])
@pytest.mark.parametrize("versions", FAMILIES)
def test_elements_are_the_same_bytes_as_encoded_anew(versions, ip_masq):
    random = Random(3)
    for network in ("web", "web", "db", "web", "db", "db"):
        name = f"crk{random.randbytes(6).hex()}"
        found = nft.elements(EndpointElements(name, tuple(drawn(random, versions)), network, ip_masq))
        for encode, kind, flags in ((nft.adding, nft._NEW_ELEMENT, 0x401), (nft.deleting, nft._DELETE_ELEMENT, 1)):
            assert b"".join(encode(found)) == b"".join(nft._encoded(kind, flags, found))


def test_an_encoding_that_depends_on_more_than_bytes_is_no_shape():
    with pytest.raises(ValueError, match="depends on more"):
        Shape(lambda values: values[0] + bytes([sum(values[0]) & 16]), [4])
    with pytest.raises(ValueError, match="not put in as it is"):
        Shape(lambda values: values[0][:1] + b"-" + values[0][1:], [2])


def test_a_process_of_one_call_encodes_once_and_shapes_are_forgotten_when_they_are_many():
    calls = []

    def encode(values):
        calls.append(values)
        return b"".join(values)

    shapes = Shapes()
    assert shapes.encoded("one", encode, [b"a"]) == b"a"
    assert len(calls) == 1
    for number in range(1000):
        assert shapes.encoded(number, encode, [b"b"]) == b"b"
    assert len(shapes._known) <= 256
