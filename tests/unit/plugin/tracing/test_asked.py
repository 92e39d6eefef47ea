"""What is asked is refused where trace could see nothing of it."""

import pytest

from calico_rkt.compiler.ir.model import Icmp, PortRange
from calico_rkt.plugin.containers.listed import Row
from calico_rkt.plugin.containers.meant import meant
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.tracing.asked import Asked, Packets

ROWS = [Row("web", "aaaa", "", "eth0", ("10.1.0.1", "fd01::1"), "", "crk1", "", "local", "attached", "in step")]


def asked(source, destination, packets=Packets()):  # noqa: B008 - a value
    return Asked(meant(source, ROWS), meant(destination, ROWS, ["empty"]), packets)


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("outside", "host", "neither"),
        ("192.0.2.1", "outside", "neither"),
        ("web", "empty", "has no endpoint on this host"),
    ],
)
def test_one_end_has_to_be_an_endpoint_of_this_host(source, destination, words):
    with pytest.raises(CniError, match=words):
        asked(source, destination)


def test_a_family_that_has_no_such_packets_has_no_conditions():
    found = list(asked("web", "outside", Packets((1,), icmp=Icmp(8, 0))).conditions("prerouting"))
    assert all("nfproto ipv4" in condition for condition in found)
    assert sum("icmp type 8 icmp code 0" in condition for condition in found) == 2  # by interface, and by address


def test_an_answer_comes_from_the_port():
    found = list(asked("web", "192.0.2.7", Packets((6,), (PortRange(80, 80), PortRange(90, 99)))).conditions("forward"))
    assert {"dport" in c for c in found if "daddr 192.0.2.7" in c} == {True}
    assert {"sport { 80, 90-99 }" in c for c in found if "saddr 192.0.2.7" in c} == {True}
