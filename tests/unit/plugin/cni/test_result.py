"""The shape of a result in every spec version, as the CNI specification prints it."""

import json

import pytest

from calico_rkt.plugin.cni.result import Dns, Ip, Result, ResultInterface, ResultRoute, from_json, has_table, is_whole
from calico_rkt.plugin.errors import CniError

RESULT = Result(
    interfaces=(
        ResultInterface("crk0", "ee:ee:ee:ee:ee:ee", mtu=1500),
        ResultInterface("eth0", "02:00:00:00:00:01", "/n", 1500),
    ),
    ips=(Ip("10.1.0.1/32", 1), Ip("fd00::1/128", 1)),
    routes=(ResultRoute("10.9.0.0/16"),),
    dns=Dns(nameservers=("10.1.0.53",)),
)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_up_to_0_2_0_there_are_ip4_ip6_and_dns(version):
    assert RESULT.to_json(version) == {
        "cniVersion": version,
        "ip4": {"ip": "10.1.0.1/32", "routes": [{"dst": "10.9.0.0/16"}]},
        "ip6": {"ip": "fd00::1/128"},
        "dns": {"nameservers": ["10.1.0.53"]},
    }


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0"])
def test_from_0_3_0_to_0_4_0_each_ip_has_its_version(version):
    assert [ip["version"] for ip in RESULT.to_json(version)["ips"]] == ["4", "6"]


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_from_1_0_0_on_no_ip_has_a_version(version):
    assert RESULT.to_json(version)["ips"] == [
        {"address": "10.1.0.1/32", "interface": 1},
        {"address": "fd00::1/128", "interface": 1},
    ]


def test_only_1_1_0_has_an_interface_mtu():
    assert "mtu" not in RESULT.to_json("1.0.0")["interfaces"][0]
    assert RESULT.to_json("1.1.0")["interfaces"][0]["mtu"] == 1500


def test_the_hosts_end_has_no_sandbox():
    host, container = RESULT.to_json("1.0.0")["interfaces"]
    assert "sandbox" not in host
    assert container["sandbox"] == "/n"


def test_a_stored_result_reads_back_as_itself():
    assert from_json(json.dumps(RESULT.to_json("1.1.0"))) == RESULT


def test_two_addresses_of_a_family_do_not_fit_an_old_version_and_say_so():
    twice = Result(RESULT.interfaces, (Ip("10.1.0.1/32", 1), Ip("10.2.0.1/32", 1)))
    with pytest.raises(CniError) as e:
        twice.to_json("0.2.0")
    assert "room for one" in e.value.msg


@pytest.mark.parametrize("text", ["{", "[]", "null", "5", '{"ips": 5}', '{"interfaces": [], "ips": [{}]}'])
def test_a_stored_result_that_is_damaged_is_an_error_of_its_own_and_hides_no_table(text):
    with pytest.raises(CniError, match="the recorded result of the ADD is damaged"):
        from_json(text)
    assert has_table(text)
    assert not is_whole(text)
