"""A CIDR is the network that Python's ipaddress makes of it, whichever of two ways it was read."""

from ipaddress import IPv4Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calico_rkt.compiler.text.nodes import cidr_of
from calico_rkt.compiler.text.values import BadValueError, parse_net

octets = st.one_of(st.integers(0, 260).map(str), st.sampled_from(["00", "01", "", "1 ", "+1", "\u0661", "1e1", "-0"]))
lengths = st.one_of(st.integers(0, 34).map(str), st.sampled_from(["", "08", " 8", "8 ", "+8", "\u0668", "255.0.0.0"]))
texts = st.builds(
    lambda parts, length: f"{'.'.join(parts)}/{length}", st.lists(octets, min_size=3, max_size=5), lengths
)


@given(texts)
@example("10.0.0.0/8")
@example("10.0.0.1/8")
@example("0.0.0.0/0")
@example("255.255.255.255/32")
def test_it_is_taken_where_ipaddress_takes_it_and_as_the_same(text):
    found = cidr_of(text)
    if found is None or found.ip != found.network.network_address:
        with pytest.raises(BadValueError):
            parse_net(text)
    else:
        assert parse_net(text) == IPv4Network(text)
        assert str(parse_net(text)) == str(found.network)
