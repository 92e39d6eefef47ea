"""netavark's JSON in, values out."""

from __future__ import annotations

from typing import Any

import pytest

from calico_rkt.plugin.cni.ports import Port
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.netavark.asked import read_container


def asked(*ports: Any, **options: Any) -> dict[str, Any]:
    return {
        "container_id": "c1",
        "port_mappings": list(ports) or None,
        "network": {"name": "web"},
        "network_options": {"interface_name": "eth0", **options},
    }


def mapping(**keys: Any) -> dict[str, Any]:
    return {"host_ip": "", "host_port": 8080, "container_port": 80, "protocol": "tcp", "range": 1, **keys}


def test_a_range_of_ports_is_each_of_them() -> None:
    found = read_container(asked(mapping(range=2, host_ip="::1"), mapping(protocol="udp", range=0)))
    assert found.key == Key("web", "c1", "eth0")
    assert found.ports == (Port(8080, 80, "tcp", "::1"), Port(8081, 81, "tcp", "::1"), Port(8080, 80, "udp"))


def test_protocols_with_commas_between_are_each_of_them() -> None:
    """As netavark's own types say; none means TCP."""
    found = read_container(asked(mapping(protocol="tcp,udp"), mapping(host_port=53, protocol="")))
    assert found.ports == (Port(8080, 80, "tcp"), Port(8080, 80, "udp"), Port(53, 80, "tcp"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"host_port": 65535, "range": 2},
        {"host_port": True},
        {"host_port": "80"},
        {"host_port": None},
        {"container_port": 65536},
        {"range": -1},
        {"protocol": "icmp"},
        {"protocol": 6},
        {"protocol": "tcp,"},
        {"host_ip": "here"},
        {"host_ip": 7},
    ],
)
def test_no_port_is_guessed(wrong: dict[str, Any]) -> None:
    with pytest.raises(CniError, match="netavark's JSON can't be used"):
        read_container(asked(mapping(**wrong)))
