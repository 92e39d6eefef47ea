"""Published ports: which of them are one."""

import pytest

from calico_rkt.plugin.cni.ports import Port


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (Port(80, 1), Port(80, 2), True),
        (Port(80, 1), Port(81, 1), False),
        (Port(80, 1), Port(80, 1, "udp"), False),
        (Port(80, 1, "tcp", "127.0.0.1"), Port(80, 1), True),
        (Port(80, 1, "tcp", "0.0.0.0"), Port(80, 1, "tcp", "192.0.2.1"), True),
        (Port(80, 1, "tcp", "::1"), Port(80, 1, "tcp", "192.0.2.1"), False),
        (Port(80, 1, "tcp", "::"), Port(80, 1, "tcp", "0.0.0.0"), False),
        (Port(80, 1, "tcp", "::"), Port(80, 1, "tcp", "192.0.2.1"), False),
        (Port(80, 1, "tcp", "::"), Port(80, 1, "tcp", "2001:db8::1"), True),
        (Port(80, 1, "tcp", "2001:DB8:0::1"), Port(80, 1, "tcp", "2001:db8::1"), True),
        (Port(80, 1, "tcp", "::ffff:192.0.2.1"), Port(80, 1, "tcp", "192.0.2.1"), True),
        (Port(80, 1, "tcp", "192.0.2.1"), Port(80, 1, "tcp", "192.0.2.1"), True),
    ],
)
def test_ports_clash_where_a_packet_could_be_for_both(one, other, clash):
    assert one.clashes(other) is other.clashes(one) is clash


V4, V6, BOTH = frozenset((4,)), frozenset((6,)), frozenset((4, 6))


@pytest.mark.parametrize(
    ("one", "own", "other", "its", "clash"),
    [
        (Port(80, 1), V4, Port(80, 2), V6, False),
        (Port(80, 1), V4, Port(80, 2), BOTH, True),
        (Port(80, 1), V4, Port(80, 2), V4, True),
        (Port(80, 1, "tcp", "::"), BOTH, Port(80, 2), V4, False),
        (Port(80, 1, "tcp", "::"), V4, Port(80, 2), BOTH, False),
        (Port(80, 1, "tcp", "127.0.0.1"), BOTH, Port(80, 2), V6, False),
        (Port(80, 1, "tcp", "127.0.0.1"), BOTH, Port(80, 2), BOTH, True),
    ],
)
def test_ports_clash_in_families_that_both_containers_have(one, own, other, its, clash):
    assert one.clashes(other, own, its) is other.clashes(one, its, own) is clash


@pytest.mark.parametrize(
    ("first", "later", "families", "covered"),
    [
        ("", "", BOTH, True),
        ("", "127.0.0.1", BOTH, True),
        ("127.0.0.1", "", V4, False),
        ("0.0.0.0", "", V4, True),
        ("0.0.0.0", "", BOTH, False),
        ("", "::1", V4, False),
        ("0.0.0.0", "192.0.2.1", BOTH, True),
        ("192.0.2.1", "192.0.2.2", BOTH, False),
    ],
)
def test_a_port_is_covered_where_all_its_packets_are_for_one_before_it(first, later, families, covered):
    assert Port(80, 1, "tcp", first).covers(Port(80, 2, "tcp", later), families) is covered
    assert not Port(80, 1, "udp", first).covers(Port(80, 2, "tcp", later), families)
