"""Listings of iptables' own tables: what may concern packets of ours is named, line by line."""

import pytest

from calico_rkt.plugin.attest.legacy import concerning

HEAD = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-N DOCKER\n"


@pytest.mark.parametrize(
    "line",
    [
        "-P FORWARD DROP",
        "-A FORWARD -j DROP",
        "-A FORWARD -i docker0 -j REJECT --reject-with icmp-port-unreachable",
        "-A FORWARD -i docker0 -o crk+ -j DROP",
        "-A FORWARD ! -i docker0 -o docker1 -j DROP",
        "-A FORWARD -i c+ -o eth0 -j DROP",
        "-A PREROUTING -p udp -j CT --notrack",
        "-A PREROUTING -m mark --mark 1 -j MARK --set-xmark 0x7/0xffffffff",
        "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.9.9.9",
    ],
)
def test_a_rule_that_may_concern_ours_is_named(line):
    assert list(concerning(f"{HEAD}{line}\n")) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "-A FORWARD -j DOCKER",
        "-A FORWARD -i docker0 -o eth0 -j DROP",
        "-A FORWARD -i crk+ -j ACCEPT",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-A FORWARD -j LOG --log-prefix 'what is it'",
        "-A FORWARD",
    ],
)
def test_what_only_accepts_or_is_between_others_is_not(line):
    assert list(concerning(f"{HEAD}{line}\n")) == []
