"""What a message offers in place of a wrong value: right, or nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.text.values import BadValueError, parse_net, parse_number, parse_port

OFFERED = re.compile(r'write "?([^" ]+)"?')
"""A hint's replacement, as a person would paste it."""


def offered(parse, text):
    try:
        parse(text)
    except BadValueError as e:
        found = OFFERED.fullmatch(e.hint)
        return found[1] if found else None
    return text


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("10.0.0.0/8 ", "10.0.0.0/8"),
        (" 10.0.0.0 / 8", "10.0.0.0/8"),
        ("10.0.0.0/\u00a08", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("10/8", "10.0.0.0/8"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("10.1/16", "10.1.0.0/16"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("fd00::1 /128", "fd00::1/128"),
    ],
)
def test_a_damaged_cidr_is_offered_whole_where_it_is_sure(text, wanted):
    assert offered(parse_net, text) == wanted
    assert str(parse_net(wanted)) == wanted


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/-1", "10.0.0.0/40", "10.0.0.0/", "10.0.0.0/8/8", "010.1.0.0/16", "10.1.2/16", "10.0.0.0/010",
     "fd00::/-1", "fd00::/129", "300.1.1.1/8", "10.1.2.3/255.255.0.0", "::ffff:10.0.0.1/104", "10.0.0.0/x", "/8",
     "10.0.0.0/1 6", "1 0.0.0.0/8", "10.0.0.0/016", "10.0.0.0/255.0.0", "0x0a.0.0.0/8"],
)  # fmt: skip
def test_where_nobody_can_know_what_was_meant_nothing_is_offered(text):
    assert offered(parse_net, text) is None


@pytest.mark.parametrize("text", ["10.0.0.9/8", "fd00::9/64", "::ffff:10.0.0.1/64", "::ffff:10.0.0.1/104"])
def test_both_readings_of_host_bits_are_nets_that_a_rule_takes(text):
    with pytest.raises(BadValueError) as caught:
        parse_net(text)
    found = re.fullmatch(r"the network is (\S+), this one address is (\S+)", caught.value.hint)
    assert found, caught.value.hint
    assert [str(parse_net(g)) for g in found.groups()] == list(found.groups())


@given(st.text(alphabet="0123456789:- +x", max_size=12))
def test_a_port_that_is_offered_is_a_port_and_has_the_same_numbers(text):
    found = offered(parse_port, text)
    if found is not None:
        parse_port(found)
        assert sorted(map(int, re.findall("[0-9]+", found))) == sorted(map(int, re.findall("[0-9]+", text)))


@given(st.text(alphabet="0123456789", max_size=12))
def test_a_number_with_zeros_in_front_is_offered_without_them_where_its_field_takes_it(text):
    def parse(of):
        return parse_number(of, "a number", 1, 255, "CR308")

    try:
        parse(text)
    except BadValueError as e:
        found = re.match(r"write ([0-9]+): a leading zero", e.hint)
        assert found is None or parse(found[1]) == int(text)


_BLANKS = st.text(alphabet=" \t\u00a0", max_size=2)


@given(
    st.sampled_from(["10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "fd00:1::/64", "::/0", "192.0.2.0/25"]),
    st.tuples(*[_BLANKS] * 4),
)
def test_blanks_around_a_cidr_s_parts_never_change_what_is_offered(text, blanks):
    address, prefix = text.split("/")
    damaged = f"{blanks[0]}{address}{blanks[1]}/{blanks[2]}{prefix}{blanks[3]}"
    assert offered(parse_net, damaged) == text


@given(st.text(alphabet="0123456789./:f- %", max_size=20))
def test_whatever_is_offered_is_itself_taken(text):
    found = offered(parse_net, text)
    if found is not None:
        assert str(parse_net(found)) == found or found == text


CONF = '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", %s}}'


@pytest.mark.parametrize(
    "ipam",
    ['"subnet": "10.1.0.0/16 "', '"subnet": "10.1.0.9/-1"', '"subnet": "10.1.0.0/16", "gateway": "10.1.0.9/16"',
     '"subnet": "10.1.0.0/16", "gateway": "300.1.0.9/16"', '"subnet": "10.1.0.9/255.255.0.0"'],
)  # fmt: skip
def test_what_a_conf_s_hint_offers_is_taken_by_the_conf(ipam):
    with pytest.raises(CompileError) as caught:
        parse_conf((CONF % ipam).encode(), "web.conf")
    for d in caught.value.diagnostics:
        found = OFFERED.fullmatch(d.hint)
        if found:
            wrong = re.search(r"'([^']+)' is no", d.message)[1]
            parse_conf((CONF % ipam.replace(wrong, found[1])).encode(), "web.conf")
