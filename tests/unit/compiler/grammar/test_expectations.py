"""What a test says of its packets: what it can't mean is an error, never all packets."""

import pytest

from calico_rkt.compiler.grammar.expectations import parse_tests
from calico_rkt.compiler.ir.model import Match
from calico_rkt.compiler.text.fields import Field, Problems
from calico_rkt.compiler.text.yaml_nodes import parse_yaml


def read(what):
    text = "tests: [{name: t, from: {outside: true}, to: {network: web}, verdict: Deny, " + what + "}]"
    ((key, value),) = parse_yaml("f.yaml", text.encode()).entries
    problems = Problems()
    return parse_tests(Field(key, value), problems), [(d.code, d.message) for d in problems.found]


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("protocol: ICMP, icmp: {}", ("CR304", "icmp without type")),
        ("protocol: ICMP, icmp: {code: 0}", ("CR304", "icmp without type")),
        ("icmp: {type: 8}", ("CR319", "icmp needs a protocol that has types")),
        ("protocol: ICMP, icmp: {type: 255}", ("CR318", "an ICMP type must be a number from 0 to 254, not 255")),
        ("protocol: ICMP, port: 80", ("CR312", "port where this protocol has none")),
        ("port: 80", ("CR312", "port where the item names no protocol")),
        ("protocol: TCP, port: []", ("CR327", "port is an empty list: no packet")),
        ("protocol: TCPP, port: 80", ("CR308", "there is no protocol 'TCPP'")),
        ("protocol: TCP, port: 0", ("CR309", "a port must be a number from 1 to 65535, not 0")),
    ],
)
def test_a_packet_that_can_not_be_is_one_error_and_the_test_is_left_out(what, problem):
    assert read(what) == ((), [problem])


def test_any_is_the_same_as_leaving_it_out():
    (said,), problems = read("protocol: any, port: any")
    assert problems == []
    assert said.matches == (Match(),)
