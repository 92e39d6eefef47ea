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
