"""What the index leaves out can't meet the box: each box that does is among those that it names."""

from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.packets import index
from calico_rkt.compiler.packets.index import Index, positions, runs

_WIDTH = 40
_RUN = st.tuples(st.integers(0, _WIDTH - 1), st.integers(1, 6)).map(lambda run: (1 << run[1]) - 1 << run[0])
_MASK = _RUN | st.builds(lambda one, other: one | other, _RUN, _RUN) | st.just((1 << _WIDTH + 6) - 1)
_BOX = st.tuples(_MASK, _MASK, st.integers(1, 7))


@pytest.mark.parametrize("few", [0, 24, 100])
@given(boxes=st.lists(_BOX, min_size=1, max_size=12), box=_BOX)
@settings(max_examples=300)
def test_each_box_that_meets_another_is_near_it(few, boxes, box):
    """few: by outermost cells alone, these where there are many cells, or each cell by itself, which is exact."""
    with patch.object(index, "_FEW", few):
        near = set(positions(Index(boxes).near(box)))
    meeting = {n for n, other in enumerate(boxes) if all(a & b for a, b in zip(box, other, strict=True))}
    assert meeting <= near <= set(range(len(boxes)))
    if few == 100:
        assert meeting == near


@given(st.integers(0, 1 << 40))
def test_runs_are_the_positions_in_a_row(bits):
    found = list(runs(bits))
    assert [n for first, last in found for n in range(first, last + 1)] == list(positions(bits))
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))
