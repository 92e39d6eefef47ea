"""The id function: names that Calico takes stay, all others get a hash and never collide by cleaning."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.ir.ids import object_id


@pytest.mark.parametrize("name", ["web", "a", "net1", "a.b", "a-b.c-d", "x" * 63, "open", "definitions"])
def test_a_name_that_calico_takes_stays_as_it_is(name):
    assert object_id(name) == name


@pytest.mark.parametrize(
    "name",
    ["Web", "a_b", "a..b", "x" * 64, "web-", "-web", "projectcalico-default-allow", "kns.default", "ksa.a.b",
     "web-0123abcd", "ä", "___"],
)  # fmt: skip
def test_any_other_name_is_cleaned_and_hashed(name):
    found = object_id(name)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?-[0-9a-f]{8}", found)
    assert len(found) <= 63
    assert found != name


@given(st.lists(st.text(min_size=1, max_size=80), min_size=2, max_size=20, unique=True))
def test_different_names_have_different_ids(names):
    assert len({object_id(n) for n in names}) == len(names)
