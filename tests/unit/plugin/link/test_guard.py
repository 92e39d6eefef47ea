"""Which addresses of a conf are guarded: those that an endpoint can get, and no others."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.plugin.link import guard

NET = ip_network("10.1.0.0/27")


def ipam(section):
    conf = {"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": section}
    return parse_conf(json.dumps(conf).encode())[0].ipam


@given(
    bounds=st.lists(st.integers(1, 30), min_size=2, max_size=2, unique=True).map(sorted),
    gateway=st.none() | st.integers(0, 31),
    exclude=st.lists(st.sampled_from([n for p in (27, 28, 29, 30, 31, 32) for n in NET.subnets(new_prefix=p)])),
)
def test_the_guards_of_a_range_are_its_addresses_without_exclude_and_gateway(bounds, gateway, exclude):
    first, last = (NET[n] for n in bounds)
    way = None if gateway is None else NET[gateway]
    nets = guard.prefixes(Ipam("host-local", ((Range(NET, first, last, way),),), (), tuple(exclude)))
    covered = [address for net in nets for address in net]
    assert len(covered) == len(set(covered))
    spared = {a for net in exclude for a in net} | {way}
    ends = {NET[0]} if first == NET[1] else set()
    ends |= {NET[-1]} if last == NET[-2] else set()
    wanted = {NET[n] for n in range(bounds[0], bounds[1] + 1)} | ends
    assert set(covered) == wanted - spared


@pytest.mark.parametrize(
    ("section", "nets"),
    [
        ({"subnet": "10.1.0.0/24"}, ["10.1.0.0/24"]),
        ({"subnet": "fd00:1::/64"}, ["fd00:1::/64"]),
        ({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.128"}, ["10.1.0.128/25"]),
        ({"subnet": "10.1.0.0/30", "gateway": "10.1.0.1"}, ["10.1.0.0/32", "10.1.0.2/31"]),
        ({"subnet": "10.1.0.0/24", "guard": False}, []),
    ],
)
def test_a_whole_subnet_is_one_route(section, nets):
    assert list(map(str, guard.prefixes(ipam({"type": "host-local", **section})))) == nets


def test_the_key_differs_where_the_guards_do():
    sections = [
        {"subnet": "10.1.0.0/24"},
        {"subnet": "10.1.0.0/25"},
        {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9"},
        {"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.9"},
        {"subnet": "10.1.0.0/24", "gateway": "10.1.0.9"},
        {"subnet": "10.1.0.0/24", "exclude": ["10.1.0.9/32"]},
        {"subnet": "10.1.0.0/24", "guard": False},
        {"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]},
    ]
    keys = [guard.guards_key(ipam({"type": "host-local", **s})) for s in sections]
    assert len(set(keys)) == len(keys)
    assert guard.guards_key(ipam({"type": "dhcp"})) != guard.guards_key(ipam({"type": "dhcp", "guard": False}))


def test_a_single_address_is_a_prefix_of_its_own():
    assert list(map(str, guard.host_prefixes(map(ip_address, ("10.1.0.9", "fd00::9"))))) == [
        "10.1.0.9/32",
        "fd00::9/128",
    ]
