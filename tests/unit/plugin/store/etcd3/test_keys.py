import pytest

from calico_rkt.compiler.ir.ids import object_id, segment_id
from calico_rkt.plugin.store.etcd3 import keys


@pytest.mark.parametrize(
    ("node", "container", "name"),
    [
        ("node1", "cont-a1", "node1-cni-cont--a1-eth0"),
        ("host-1", "6e1f-22", "host--1-cni-6e1f--22-eth0"),
    ],
)
def test_an_endpoint_s_name_is_calico_s(node, container, name):
    assert keys.endpoint_name(node, container, "eth0") == name


@pytest.mark.parametrize("name", ["UPPER", "under_score", "a.b", "dash-", "x" * 64, "Eth0.100"])
def test_a_name_that_calico_does_not_take_becomes_one_that_it_takes(name):
    found = segment_id(name)
    assert len(found) <= 63
    assert found == found.lower()
    assert found.strip("-").replace("-", "").isalnum()
    assert found != name
    assert segment_id(found) != found, "a name that ends like a hash is hashed again, so no two meet"


def test_no_two_names_meet():
    names = ["a.b", "a_b", "a-b", "A-b", "a-b-", object_id("a_b"), segment_id("a.b"), "a--b"]
    assert len({keys.endpoint_name("n", c, "eth0") for c in names}) == len(names)
    pairs = [("a-b", "c"), ("a", "b-c"), ("a-b-c", "c")]
    assert len({keys.endpoint_name("n", *p) for p in pairs}) == len(pairs)


def test_a_key_and_its_net():
    for text in ("10.1.166.128/26", "fd00:10:1:0:c11:b42f:f17e:a680/122", "fd00:10:1::/122"):
        from ipaddress import ip_network

        net = ip_network(text)
        assert keys.net_of(keys.block(net)) == net
        assert keys.net_of(keys.affinity("node-1", net)) == net
    assert keys.block(ip_network("fd00:10:1::/122")).endswith("/ipv6/block/fd00:10:1::-122")
