"""JSON for people's eyes is the text that Python's json writes of the same values, whatever they are."""

import doctest
import json

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.cli.formats import json_text as module
from calico_rkt.compiler.cli.formats.json_text import json_text
from calico_rkt.compiler.review.each import Each

leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(), inner, max_size=4),
    ),
)


@given(values)
def test_it_is_what_python_writes(value):
    assert json_text(value) == json.dumps(value, indent=2)


def test_its_example():
    assert doctest.testmod(module) == (0, 1)


@given(st.lists(values, max_size=4))
def test_what_gives_its_items_one_by_one_is_a_list(found):
    assert json_text({"a": iter(found), "b": Each(found, lambda x: x)}) == json.dumps(
        {"a": found, "b": found}, indent=2
    )
