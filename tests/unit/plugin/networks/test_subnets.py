"""What somebody types as a subnet, and what is proposed in place of one that is taken."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.networks.subnets import free, parsed, refuse_taken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("10.91.0.0",), "'10.91.0.0' is no subnet|such as 10.91.0.0/24"),
        (("",), "'' is no subnet|with the length of its prefix"),
        (("10.91.0.7/24",), "10.91.0.7/24 is an address in a subnet|the subnet is 10.91.0.0/24"),
        (("10.91.0.0/33",), "'10.91.0.0/33' is no subnet|such as"),
        (("web/24",), "'web/24' is no subnet|such as"),
        (("fd00:91::1/64",), "is an address in a subnet|the subnet is fd00:91::/64"),
        (("0.0.0.0/0",), "no container can have addresses of 0.0.0.0/8, which 0.0.0.0/0 holds|"),
        (("127.0.0.0/24",), "no container can have addresses of 127.0.0.0/8|"),
        (("224.0.0.0/24",), "no container can have addresses of 224.0.0.0/4|"),
        (("240.0.0.0/8",), "no container can have addresses of 240.0.0.0/4|"),
        (
            ("::ffff:10.6.0.0/120",),
            f"no container can have addresses of {ip_network('::ffff:0:0/96')}|",
        ),  # as Python writes it
        (("fe80::/64",), "no container can have addresses of fe80::/10|"),
        (("10.91.0.0/31",), "10.91.0.0/31 has no room for two containers|a /24"),
        (("10.91.0.0/24", "10.92.0.0/24"), "10.92.0.0/24 is a second subnet of IPv4|one IPv4 and one IPv6"),
    ],
)
def test_what_is_no_subnet_is_refused_with_a_way_out(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CniError) as e:
        parsed(words)
    message, hint = said.split("|")
    assert message in e.value.msg
    assert hint in e.value.details


def test_one_of_each_family_is_taken_as_it_is_written() -> None:
    assert [str(n) for n in parsed(("10.91.0.0/24", "fd00:91::/64"))] == ["10.91.0.0/24", "fd00:91::/64"]


nets = st.builds(
    lambda second, third, length: ip_network(f"10.{second}.{third}.0/{length}", strict=False),
    st.integers(80, 110), st.integers(0, 255), st.integers(12, 30),
)  # fmt: skip


@given(nets, st.lists(nets, max_size=8))
def test_a_taken_subnet_is_refused_and_what_is_proposed_is_free(net: IPv4Network, others: list[IPv4Network]) -> None:
    taken = [(n, f"which number {i} has") for i, n in enumerate(others)]
    first = free(taken)
    assert not any(first.overlaps(n) for n in others)
    if not any(net.overlaps(n) for n in others):
        refuse_taken([net], taken)
        return
    with pytest.raises(CniError) as e:
        refuse_taken([net], taken)
    named = re.match(r"\S+ overlaps (\S+), which number \d+ has", e.value.msg)
    assert named
    assert net.overlaps(ip_network(named[1]))
    if proposed := re.match(r"(\S+) is free", e.value.details):
        near = ip_network(proposed[1])
        assert near.prefixlen == net.prefixlen
        assert not any(near.overlaps(n) for n in others)
        refuse_taken([near], taken)


everywhere = st.one_of(
    st.builds(
        lambda number, length: ip_network((number, length), strict=False), st.integers(0, 2**32 - 1), st.integers(4, 32)
    ),
    st.builds(
        lambda head, tail, length: ip_network(((head << 112) + tail, length), strict=False),
        st.sampled_from((0, 0x2001, 0xFD00, 0xFE80, 0xFF02)),
        st.sampled_from((0, 1, 0xFFFF0A060000, 1 << 100)),
        st.integers(8, 128),
    ),
)


@given(everywhere)
def test_a_subnet_that_is_taken_here_makes_a_conf_that_can_be_used(net: IPv4Network) -> None:
    try:
        parsed((str(net),))
    except CniError:
        return
    made = {"cniVersion": "1.0.0", "name": "new", "type": "calico", "ipam": {"type": "host-local", "subnet": str(net)}}
    conf, warnings = parse_conf(json.dumps(made).encode(), "new.conf")
    assert (conf.ipam.ranges[0][0].subnet, warnings) == (net, ())


@given(everywhere)
def test_what_is_proposed_in_place_of_a_taken_one_is_one_that_is_taken_here(net: IPv4Network) -> None:
    try:
        refuse_taken([net], [(net, "which it is")])
    except CniError as e:
        near = re.match(r"(\S+) is free", e.details)
        assert near is None or parsed((near[1],))
