"""Ranges answer as a look at each of them does."""

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.packets.bounds import Ranges

ranges = st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1]))


@given(st.lists(ranges, max_size=6), ranges)
def test_one_of_them_meets_a_range_where_it_has_a_value_of_it(given_ranges, asked):
    first, last = asked
    assert Ranges(given_ranges).meet(first, last) is any(lo <= last and first <= hi for lo, hi in given_ranges)
