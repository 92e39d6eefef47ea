import pytest

from calico_rkt.compiler.ir.model import PortRange
from calico_rkt.compiler.text.values import (
    BadValueError,
    parse_net,
    parse_network,
    parse_number,
    parse_port,
    parse_protocol,
)


@pytest.mark.parametrize(
    "text, lo, hi",
    [("1", 1, 1), ("65535", 65535, 65535), ("20:21", 20, 21), ("80:80", 80, 80), ("1:65535", 1, 65535)],
)
def test_a_port_is_a_number_or_a_range_and_never_yamls_guess(text, lo, hi):
    assert parse_port(text) == PortRange(lo, hi)


@pytest.mark.parametrize(
    "text, code",
    [
        ("0", "CR309"),
        ("65536", "CR309"),
        ("010", "CR309"),
        ("+80", "CR309"),
        (" 80", "CR309"),
        ("8_0", "CR309"),
        ("0x50", "CR309"),
        ("٨٠", "CR309"),
        ("80:", "CR309"),
        (":80", "CR309"),
        ("1:2:3", "CR309"),
        ("", "CR309"),
        ("9" * 5000, "CR309"),
        ("21:20", "CR310"),
    ],
)
def test_what_is_no_port_is_refused(text, code):
    with pytest.raises(BadValueError) as caught:
        parse_port(text)
    assert caught.value.code == code


@pytest.mark.parametrize("text, number", [("TCP", 6), ("ICMPv6", 58), ("UDPLite", 136), ("1", 1), ("255", 255)])
def test_a_protocol_is_calicos_exact_name_or_a_number(text, number):
    assert parse_protocol(text) == number


@pytest.mark.parametrize(
    "text, hint",
    [
        ("tpc", "did you mean TCP?"),
        ("icmpv6", "did you mean ICMPv6?"),
        ("all", "leave protocol out"),
        ("010", "write 10"),
    ],
)
def test_a_wrong_protocol_comes_with_the_way_out(text, hint):
    with pytest.raises(BadValueError) as caught:
        parse_protocol(text)
    assert caught.value.code == "CR308"
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32", "::/0", "fd00::/8", "::/96"])
def test_a_strict_cidr_is_taken(text):
    assert str(parse_net(text)) == text


@pytest.mark.parametrize(
    "text, code, hint",
    [
        ("10.1.2.3", "CR315", "10.1.2.3/32"),
        ("fd00::1", "CR315", "fd00::1/128"),
        ("fe80::1%eth0", "CR315", "zone"),
        ("10.1.2.3/8", "CR314", "10.0.0.0/8"),
        ("fd00::1/64", "CR314", "fd00::/64"),
        ("10.0.0.0/255.0.0.0", "CR313", "10.0.0.0/8"),
        ("10.0.0.0/08", "CR313", "10.0.0.0/8"),
        ("010.0.0.0/8", "CR313", ""),
        ("10.0.0.0/33", "CR313", ""),
        ("10/8", "CR313", ""),
        ("::ffff:10.0.0.0/104", "CR313", "10.0.0.0/8"),
        ("10.0.0.0/8/8", "CR313", ""),
        ("/8", "CR313", ""),
        ("", "CR313", ""),
    ],
)
def test_what_is_no_strict_cidr_is_refused_with_the_nearest_one(text, code, hint):
    with pytest.raises(BadValueError) as caught:
        parse_net(text)
    assert caught.value.code == code
    assert hint in caught.value.hint


def test_a_number_keeps_its_bounds():
    assert parse_number("0", "a code", 0, 255, "CR318") == 0
    with pytest.raises(BadValueError):
        parse_number("256", "a code", 0, 255, "CR318")


@pytest.mark.parametrize("name", ["", "front end", "-web", "wéb", "a/b"])
def test_a_network_has_a_name_that_a_conf_can_have(name):
    with pytest.raises(BadValueError):
        parse_network(name)
