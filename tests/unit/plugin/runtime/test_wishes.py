"""What people ask for at an attach, and which plugin of a chain hears of it."""

from __future__ import annotations

import pytest

from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.plugin.cni.ports import Port
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.runtime.wishes import Wishes, capabilities_of, mac_address, port, refuse_unserved

CALICO = {"type": "calico"}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
TUNING = {"type": "tuning", "capabilities": {"mac": True, "portMappings": False}}
ALL = Wishes(("10.1.0.9",), "02:00:00:00:00:01", (Port(8080, 80),))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8080:80", Port(8080, 80)),
        ("8080:80/tcp", Port(8080, 80)),
        ("53:5353/udp", Port(53, 5353, "udp")),
        ("192.0.2.1:8080:80", Port(8080, 80, "tcp", "192.0.2.1")),
        ("[2001:DB8::1]:8080:80/sctp", Port(8080, 80, "sctp", "2001:db8::1")),
    ],
)
def test_a_port_is_the_host_s_then_the_container_s(text, meant):
    assert port(text) == meant
    assert port(str(meant)) == meant


@pytest.mark.parametrize(
    "text", ["", "80", "a:b", "0:80", "80:65536", "80:80/icmp", "80:80/", "80-90:80-90", "x:80:80", "2001:db8::1:80:80"]
)
def test_what_is_no_port_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(CniError) as caught:
        port(text)
    assert caught.value.code == Code.INVALID_ENVIRONMENT
    assert caught.value.details


def test_each_plugin_hears_of_what_it_declares_and_ours_of_addresses_and_mac_anyway():
    asked = ALL.to_json()
    assert asked["portMappings"] == [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}]
    assert set(capabilities_of(CALICO, asked)) == {"ips", "mac"}
    assert set(capabilities_of(PORTMAP, asked)) == {"portMappings"}
    assert set(capabilities_of(TUNING, asked)) == {"mac"}
    assert capabilities_of({"type": "bandwidth", "capabilities": {"bandwidth": True}}, asked) == {}
    assert capabilities_of(CALICO, Wishes().to_json()) == {}


def test_a_wish_that_no_plugin_serves_is_refused():
    refuse_unserved(Chain("web", "1.0.0", (CALICO, PORTMAP)), ALL)
    with pytest.raises(CniError, match="no plugin of network 'web' publishes ports") as caught:
        refuse_unserved(Chain("web", "1.0.0", (CALICO, TUNING)), ALL)
    assert "portmap" in caught.value.details


def test_our_own_word_for_ports_is_to_be_told_of_them_and_maps_none():
    with pytest.raises(CniError, match="publishes ports"):
        refuse_unserved(Chain("web", "1.0.0", ({**CALICO, "capabilities": {"portMappings": True}}, TUNING)), ALL)


def test_one_port_of_the_host_leads_to_one_place():
    twice = Wishes(ports=(Port(8080, 80), Port(8080, 81)))
    with pytest.raises(CniError, match="8080") as caught:
        refuse_unserved(Chain("web", "1.0.0", (CALICO, PORTMAP)), twice)
    assert "more than once: all its packets go to 8080:80/tcp" in caught.value.details
    at_one = Wishes(ports=(Port(8080, 80), Port(8080, 81, "tcp", "127.0.0.1")))
    with pytest.raises(CniError, match=r"127\.0\.0\.1:8080:81/tcp"):
        refuse_unserved(Chain("web", "1.0.0", (CALICO, PORTMAP)), at_one)
    refuse_unserved(Chain("web", "1.0.0", (CALICO, PORTMAP)), Wishes(ports=at_one.ports[::-1]))
    refuse_unserved(Chain("web", "1.0.0", (CALICO, PORTMAP)), Wishes(ports=(Port(53, 53), Port(53, 53, "udp"))))


@pytest.mark.parametrize(
    "text", ["52:54:00:AA:BB:CC", "52-54-0-aa-bb-cc", "5254.00aa.bbcc", "525400aabbcc", " 5254-00aa-bbcc\n"]
)
def test_a_mac_is_taken_in_the_notation_of_whoever_gives_it(text):
    assert mac_address(text) == "52:54:00:aa:bb:cc"


@pytest.mark.parametrize(
    "text", ["", "52:54:00:aa:bb", "52:54:00:aa:bb:cc:dd:ee", "g2:54:00:aa:bb:cc", "12345", "\u0665" * 12]
)
def test_what_is_no_mac_is_refused_in_words(text):
    with pytest.raises(CniError, match="is no MAC address") as refused:
        mac_address(text)
    assert (refused.value.code, refused.value.details) == (Code.INVALID_ENVIRONMENT, "such as 52:54:00:12:34:56")
