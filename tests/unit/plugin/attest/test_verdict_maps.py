from ipaddress import ip_address

import pytest

from calico_rkt.plugin.attest.verdict_maps import verdict_map

PORTS = {"set": [[{"range": [0, 10]}, {"drop": None}], [80, {"return": None}]]}
NETS = {
    "set": [
        [{"concat": [{"prefix": {"addr": "10.0.0.0", "len": 8}}, {"range": [81, 90]}]}, {"return": None}],
        [{"concat": [{"range": ["11.0.0.1", "11.0.0.9"]}, 80]}, {"goto": {"target": "out-web"}}],
        [{"concat": ["2001:db8::1", 80]}, {"drop": None}],
    ]
}


@pytest.mark.parametrize(
    ("data", "values", "verdict"),
    [
        (PORTS, (0,), "drop"),
        (PORTS, (11,), ""),
        (PORTS, (80,), "return"),
        (PORTS, ("eth0",), "unknown"),
        (NETS, (ip_address("10.1.2.3"), 81), "return"),
        (NETS, (ip_address("10.1.2.3"), 80), ""),
        (NETS, (ip_address("11.0.0.9"), 80), "goto out-web"),
        (NETS, (ip_address("2001:db8::1"), 80), "drop"),
        (NETS, (ip_address("::a00:1"), 81), ""),
        (NETS, (True, 80), "unknown"),
    ],
)
def test_a_map_is_asked_by_ranges(data, values, verdict):
    assert verdict_map(data).verdict(values) == verdict


@pytest.mark.parametrize("data", ["@to_endpoint", {"set": "@to_endpoint"}, {"set": [["eth0", {"drop": None}]]}, None])
def test_what_is_no_map_of_numbers_and_addresses_is_not_read(data):
    assert verdict_map(data) is None
