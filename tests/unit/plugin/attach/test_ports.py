"""What a runtime hands over as published ports: read where it is right, left to who maps them where it is not."""

import json
from ipaddress import ip_address

import pytest

from calico_rkt.plugin.attach.ports import _listed, _ranges, mappings_of
from calico_rkt.plugin.cni.ports import Port

GOOD = {"hostPort": 80, "containerPort": 8080, "protocol": "TCP", "hostIP": ""}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        "80:8080",
        [],
        {},
        {**GOOD, "hostPort": "80"},
        {**GOOD, "hostPort": 0},
        {**GOOD, "hostPort": True},
        {**GOOD, "containerPort": 70000},
        {**GOOD, "containerPort": -1},
        {**GOOD, "protocol": 6},
        {**GOOD, "hostIP": ["127.0.0.1"]},
    ],
)
def test_what_is_no_mapping_is_left_out_and_the_others_stay(bad):
    found = mappings_of(json.dumps({"runtimeConfig": {"portMappings": [bad, GOOD, GOOD]}}).encode())
    assert found == (Port(80, 8080, "tcp"),)


@pytest.mark.parametrize(
    "runtime", [None, [], {}, "x", {"portMappings": None}, {"portMappings": {}}, {"portMappings": 1}]
)
def test_no_list_of_mappings_is_none(runtime):
    assert mappings_of(json.dumps({"runtimeConfig": runtime}).encode()) == ()


@pytest.mark.parametrize(
    ("host_ip", "four", "six"),
    [
        ("", True, True),
        ("0.0.0.0", True, False),
        ("::", False, True),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("192.0.2.1", True, False),
        ("no address", True, True),
    ],
)
def test_whom_a_mapping_could_be_for(host_ip, four, six):
    one = Port(80, 8080, "tcp", host_ip)
    assert (one.reaches(ip_address("10.1.0.2")), one.reaches(ip_address("fd00::2"))) == (four, six)


def test_ports_are_said_in_few_words():
    assert _ranges({80, 8081, 8080, 8082, 9000}) == "80, 8080:8082, 9000"
    assert _listed([Port(80, 8080, "tcp", "192.0.2.1")]) == "port 192.0.2.1:80->8080/tcp is"
    assert _listed([Port(n, n, "udp") for n in range(1, 11)]).endswith("8/udp and 2 more are")
