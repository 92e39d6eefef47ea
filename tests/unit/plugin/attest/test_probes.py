"""Packets that could show a difference are such as there can be."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.packets.opening import OPENING
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.probes import Hints, packets

ENDS = [Known(f"c{n} eth0", "web", f"crk{n}", (ip_address(f"10.1.0.{n}"), ip_address(f"fd00::{n}"))) for n in (1, 2)]
WANTED = Wanted({}, ENDS, ranges=(ip_network("10.1.0.0/24"), ip_network("fd00::/64")), uplink="up0")


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=8))
def test_who_opens_a_flow_by_icmp_sends_a_type_that_the_kernel_opens_one_for(spoken_of):
    hints = Hints()
    hints.icmp.update(dict.fromkeys(spoken_of))
    found = [p for p in packets(WANTED, hints) if p.kind is Kind.NEW and p.icmp is not None]
    assert found
    assert {(p.protocol, p.icmp.type) for p in found} <= {(p, kind) for p, kinds in OPENING.items() for kind in kinds}
