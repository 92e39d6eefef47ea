"""Which ports nobody outside reaches: decided exactly, over all of the outside."""

from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf, Range
from calico_rkt.compiler.pipeline import compile_for_host
from calico_rkt.compiler.review.from_outside import closed_from_outside

OWN, BACK = ip_network("10.91.0.0/24"), ip_network("10.92.0.0/24")
HERE = ip_address("10.91.0.2")
TCP, UDP = 6, 17
ALL = range(1, 65536)


def network(*rules):
    """The network web whose ingress is these rules, in the grammar of overrides."""
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local", ((Range(OWN, OWN[1], OWN[-2]),),)))
    text = "".join(f"\n  - {rule}" for rule in rules) or " []"
    return compile_for_host(conf, {"web.yaml": f"network: web\ningress:{text}\n".encode()}, None).network


def closed(made, *ports, protocol=TCP):
    return closed_from_outside(made, HERE, protocol, ports, (OWN, BACK))


@pytest.mark.parametrize(
    ("rule", "is_closed"),
    [
        ("default", True),
        ("{action: Allow, protocol: TCP, source: {notSelector: all()}, destination: {ports: [8080]}}", False),
        ("{action: Allow, protocol: UDP, source: {notSelector: all()}, destination: {ports: [8080]}}", True),
        ("{action: Allow, protocol: TCP, source: {network: back}, destination: {ports: [8080]}}", True),
        ("{action: Allow, protocol: TCP, source: {nets: [10.92.0.0/24]}, destination: {ports: [8080]}}", True),
        ("{action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8]}, destination: {ports: [8080]}}", False),
        ("{action: Allow, protocol: TCP, source: {nets: [192.0.2.7/32]}}", False),
        ("{action: Allow, protocol: TCP, destination: {notPorts: [8080]}}", True),
        ("{action: Allow, protocol: TCP, source: {ports: [53]}}", False),
        ("{action: Allow, ipVersion: 6}", True),
        ("{action: Log}", True),
    ],
)
def test_a_port_is_closed_where_no_packet_from_outside_gets_to_it(rule, is_closed):
    assert closed(network(rule), 8080) == ((8080,) if is_closed else ())


def test_what_denies_first_counts():
    deny = "{action: Deny, protocol: TCP, source: {notSelector: all()}, destination: {ports: [8080]}}"
    assert closed(network(deny, "{action: Allow, protocol: TCP}"), 8080, 9090) == (8080,)
    assert closed(network("{action: Allow, protocol: TCP}", deny), 8080, 9090) == ()


def test_of_all_ports_those_between_the_open_ones_are_found():
    made = network('{action: Allow, protocol: TCP, destination: {ports: [1, "443:8080", 65535]}}')
    assert set(ALL) - set(closed(made, *ALL)) == {1, *range(443, 8081), 65535}


def test_no_ports_are_none_closed():
    assert closed(network()) == ()
    assert closed(network(), 80, 80, protocol=UDP) == (80,)
