"""What is left of nets without others: the same addresses as counting them one by one, in the fewest CIDRs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, collapse_addresses, ip_network

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.review.address_sets import less

BASES = {4: int(IPv4Address("10.0.0.0")), 6: int(IPv6Address("fd00::"))}
FREE = 6
"""Bits of the universe that the nets lie in: so few addresses that each can be counted."""


@st.composite
def some_nets(draw):
    version, free = draw(st.sampled_from([4, 6])), draw(st.integers(0, FREE))
    start = draw(st.integers(0, 2**FREE - 1)) >> free << free
    first = (IPv4Address if version == 4 else IPv6Address)(BASES[version] + start)
    return ip_network(f"{first}/{first.max_prefixlen - free}")


def addresses(nets):
    return {address for net in nets for address in net}


@given(st.lists(some_nets(), max_size=6), st.lists(some_nets(), max_size=6))
def test_what_is_left_is_what_was_there_without_the_others(nets, others):
    left = less(nets, others)
    assert addresses(left) == addresses(nets) - addresses(others)
    if addresses(nets) & addresses(others):
        four, six = ([n for n in left if (isinstance(n, IPv6Network)) is v6] for v6 in (False, True))
        assert [*four, *six] == [*collapse_addresses(four), *collapse_addresses(six)] == list(left)


def test_a_thousand_excluded_addresses_are_no_matter_of_seconds():
    net = ip_network("10.0.0.0/16")
    others = [ip_network(net[n]) for n in range(1, 2001, 2)]
    left = less([net], others)
    assert sum(n.num_addresses for n in left) == 65536 - 1000
    assert less([net], ()) == (net,)
